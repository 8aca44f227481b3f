import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { range } from '../../base/arrays.js';
import { UserError } from '../../base/errors.js';
import type { Corpus } from '../metric.js';
import { meteorAnswer, type MeteorTask } from './protocol.js';

/** METEOR's numbers of several corpora. */
export interface MeteorStatistics {
  /** Which of its matchers were used, as `exact+stem`. */
  readonly stages: string;
  /** For each corpus a row for each instance, as `meteorMetric` gives them. */
  readonly rows: readonly (readonly Float64Array[])[];
}

/** Megabytes for short-lived objects: with Node's 16, collecting them takes a fifth of the time. */
const YOUNG_GENERATION = 64;

/**
 * METEOR's numbers, computed in a thread beside the caller's.
 *
 * @param meteorData the folder of METEOR's data; without it, only exact words and stems match
 * @throws UserError where the data is not there or damaged.
 */
export async function meteorBeside(
  corpora: readonly Corpus[],
  meteorData: string | undefined,
): Promise<MeteorStatistics> {
  const task: MeteorTask = { corpora, ...(meteorData !== undefined && { meteorData }) };
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: task,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION },
  });
  const messages: unknown[] = await once(worker, 'message');
  const answer = meteorAnswer(messages[0]);
  if ('message' in answer) {
    throw answer.user ? new UserError(answer.message) : new Error(answer.message);
  }
  return {
    stages: answer.stages,
    rows: answer.numbers.map((numbers, place) => {
      const size = numbers.length / Math.max(1, corpora[place]?.hypotheses.length ?? 0);
      return range(0, numbers.length / size).map((row) =>
        numbers.subarray(row * size, (row + 1) * size),
      );
    }),
  };
}
