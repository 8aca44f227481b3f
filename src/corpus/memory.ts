import { UserError } from '../base/errors.js';

/** How the machine is shared among months. */
export interface MemoryPlan {
  /** Months to work on at once. */
  readonly jobs: number;
  /** Worker threads of all of them together. */
  readonly threads: number;
  /** Bytes of data that may be held, by all of them together. */
  readonly data: number;
}

/** Node.js, the program and the buffers of its streams, in resident bytes (measured). */
const PROCESS = 170e6;
/** A worker thread with its own heap and compiled code, in resident bytes (measured). */
const WORKER = 45e6;
/** The least to get anywhere with. */
const LEAST_DATA = 16e6;

/** The smallest `--memory`. */
export const LEAST_MEMORY = PROCESS + WORKER + LEAST_DATA;

/**
 * Shares out `memory`, the resident bytes that the whole process may have: as many months at once
 * and worker threads as asked for, or as few as fit.
 *
 * @throws UserError where not even one thread fits.
 */
export function planMemory(memory: number, jobs: number, threads: number): MemoryPlan {
  const workers = Math.floor((memory - PROCESS - LEAST_DATA) / WORKER);
  if (workers < 1) {
    throw new UserError(
      `--memory ${Math.floor(memory / 1e6)}MB is too little: Node.js itself, one worker thread and their buffers take ${Math.ceil(LEAST_MEMORY / 1e6)}MB, give at least that.`,
    );
  }
  const fitting = Math.max(1, Math.min(threads, workers));
  return {
    jobs: Math.min(jobs, workers),
    threads: fitting,
    data: memory - PROCESS - WORKER * Math.max(fitting, Math.min(jobs, workers)),
  };
}
