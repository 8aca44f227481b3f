import { range, sum } from '../../src/base/arrays.js';
import { type Example, toExample } from '../../src/dataset/index.js';
import { type Batch, makeBatch } from '../../src/training/batch.js';
import type { Learner, UpdateReport } from '../../src/training/learner.js';

const END_OF_TEXT = 299;

/** Examples of different lengths, in which some tokens occur often. */
export function makeExamples(number: number): Example[] {
  return [3, 9 + (number % 3)].map((length) => {
    const turns = [4 + (number % 4), length, 3].map((count, turn) =>
      range(0, count).map((index) => (number * 31 + (index % 5) * (turn + 1)) % END_OF_TEXT),
    );
    const example = toExample({ turns, weights: [1, 1, 1] }, END_OF_TEXT);
    if (example === undefined) throw new Error('The example has no label.');
    return example;
  });
}

/** A batch of such examples, with token types. */
export function learnerBatch(number: number): Batch {
  return makeBatch(makeExamples(number), true);
}

/** A step on one batch, each fourth on two. */
export async function stepOn(learner: Learner, number: number): Promise<UpdateReport> {
  const batches = range(0, number % 4 === 0 ? 2 : 1).map((index) =>
    learnerBatch(2 * number + index),
  );
  const labels = sum(batches.map((one) => one.labels.length));
  for (const [index, one] of batches.entries()) {
    await learner.backward(one, 1 / labels, 2 * number + index);
  }
  return learner.update(2e-3);
}
