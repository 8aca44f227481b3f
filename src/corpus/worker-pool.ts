import { type Transferable, Worker } from 'node:worker_threads';
import { z } from 'zod';

interface Task {
  readonly message: unknown;
  readonly transfer: readonly Transferable[];
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** What a worker answers each task with. */
const answerSchema = z.union([
  z.object({ result: z.unknown() }),
  z.object({ error: z.instanceof(Error) }),
]);

/** A fixed number of worker threads that each do one task at a time, in the order given. */
export class WorkerPool {
  readonly #idle: Worker[] = [];
  readonly #waiting: Task[] = [];
  readonly #working = new Map<Worker, Task>();
  readonly #workers: readonly Worker[];
  #broken: Error | undefined;

  /** Starts `threads` workers that run the module at `url` with this `workerData`. */
  constructor(url: URL, threads: number, workerData: unknown) {
    this.#workers = Array.from({ length: threads }, () => {
      const worker = new Worker(url, { workerData });
      worker.on('message', (message) => {
        this.#answer(worker, message);
      });
      worker.on('error', (error: Error) => {
        this.#break(error);
      });
      this.#idle.push(worker);
      return worker;
    });
  }

  /** The number of workers. */
  get threads(): number {
    return this.#workers.length;
  }

  /** Posts a task to the next idle worker and resolves with its result. */
  run(message: unknown, transfer: readonly Transferable[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message, transfer, resolve, reject });
      this.#next();
    });
  }

  /** Ends all workers; tasks that are not done never will be. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    if (this.#broken !== undefined) {
      for (const task of this.#waiting.splice(0)) task.reject(this.#broken);
      return;
    }
    for (;;) {
      const worker = this.#idle.at(-1);
      if (worker === undefined) return;
      const task = this.#waiting.shift();
      if (task === undefined) return;
      this.#idle.pop();
      this.#working.set(worker, task);
      worker.postMessage(task.message, task.transfer);
    }
  }

  #answer(worker: Worker, message: unknown): void {
    const task = this.#working.get(worker);
    this.#working.delete(worker);
    this.#idle.push(worker);
    const answer = answerSchema.parse(message);
    if ('error' in answer) task?.reject(answer.error);
    else task?.resolve(answer.result);
    this.#next();
  }

  #break(error: Error): void {
    this.#broken = error;
    for (const task of this.#working.values()) task.reject(error);
    this.#working.clear();
    this.#next();
  }
}
