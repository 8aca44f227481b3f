import { UserError } from '../base/errors.js';

/** How the machine is shared among months. */
export interface MemoryPlan {
  /** Months to work on at once. */
  readonly jobs: number;
  /** Worker threads of all of them together; 0 where the main thread does the work itself. */
  readonly threads: number;
  /** Bytes of data that may be held, by all of them together. */
  readonly data: number;
}

/** What the main thread takes to read dumps and hand out work, in resident bytes (measured). */
const READING = 35e6;
/** A worker thread with its own heap and compiled code (measured). */
const WORKER = 45e6;
/** The main thread that reads dumps and does the work too (measured). */
const ALONE = 50e6;
/** The least to get anywhere with. */
const LEAST_DATA = 8e6;

/** The smallest `--memory`. */
export const LEAST_MEMORY = ALONE + LEAST_DATA;

/**
 * Shares out `memory`, the resident bytes that extracting may take beyond what the program takes at
 * rest: as many months at once and worker threads as asked for, or as few as fit. Where not even
 * one fits, the main thread works alone.
 *
 * @throws UserError where that does not fit either.
 */
export function planMemory(memory: number, jobs: number, threads: number): MemoryPlan {
  if (memory < LEAST_MEMORY) {
    throw new UserError(
      `--memory ${Math.floor(memory / 1e6)}MB is too little: reading dumps in one thread takes ${Math.ceil(LEAST_MEMORY / 1e6)}MB beyond what Node.js and the program take at rest, give at least that.`,
    );
  }
  const workers = Math.floor((memory - READING - LEAST_DATA) / WORKER);
  if (workers < 1) return { jobs: 1, threads: 0, data: memory - ALONE };
  const fitting = Math.max(1, Math.min(threads, workers));
  return {
    jobs: Math.min(jobs, workers),
    threads: fitting,
    data: memory - READING - WORKER * Math.max(fitting, Math.min(jobs, workers)),
  };
}
