import type { ExtractTask, MonthData } from './extract-tasks.js';
import { WorkerPool } from './worker-pool.js';

/** Who does a month's tasks. */
export interface ExtractWorkers {
  /** How many tasks are at work at once. */
  readonly threads: number;
  run(task: ExtractTask): Promise<unknown>;
  /** Ends them; tasks that are not done never will be. */
  close(): Promise<void>;
}

/** Starts `threads` worker threads; with none, this thread does the work, which takes less memory. */
export async function startWorkers(threads: number, month: MonthData): Promise<ExtractWorkers> {
  if (threads > 0) {
    return new WorkerPool(new URL('./extract-worker.js', import.meta.url), threads, month);
  }
  // A main thread that only hands out work has no use for the kernels.
  const { ExtractWork } = await import('./extract-work.js');
  const work = new ExtractWork(month);
  return {
    threads: 1,
    run: (task) =>
      new Promise((resolve) => {
        resolve(work.perform(task).result);
      }),
    close: () => Promise.resolve(),
  };
}
