/** METEOR's thread: does the one task that it is started with. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, UserError } from '../../base/errors.js';
import type { Corpus } from '../metric.js';
import { meteorMetric, meteorStages } from './meteor.js';
import { type MeteorAnswer, meteorTask } from './protocol.js';
import { NO_METEOR_RESOURCES, readMeteorResources } from './resources.js';

async function answer(): Promise<MeteorAnswer> {
  const { corpora, meteorData } = meteorTask(workerData);
  const resources =
    meteorData === undefined
      ? NO_METEOR_RESOURCES
      : await readMeteorResources(meteorData, textsOf(corpora));
  const metric = meteorMetric(resources);
  return {
    stages: meteorStages(resources),
    numbers: corpora.map((corpus) => joined(metric.statistics(corpus))),
  };
}

function* textsOf(corpora: readonly Corpus[]): Generator<string> {
  for (const { hypotheses, references } of corpora) {
    yield* hypotheses;
    for (const texts of references) yield* texts;
  }
}

/** Rows of one length, one after the other. */
function joined(rows: readonly Float64Array[]): Float64Array<ArrayBuffer> {
  const size = rows[0]?.length ?? 0;
  const numbers = new Float64Array(rows.length * size);
  rows.forEach((row, place) => {
    numbers.set(row, place * size);
  });
  return numbers;
}

try {
  parentPort?.postMessage(await answer());
} catch (error) {
  parentPort?.postMessage({ message: messageOf(error), user: error instanceof UserError });
}
