import { at, range } from '../base/arrays.js';
import { Random } from '../base/random.js';

/** Batches in a bucket: within it, examples are sorted by length (the original's `bucket=100`). */
const BATCHES_IN_BUCKET = 100;

/**
 * The batches of one epoch, as lists of example numbers: shuffled, then sorted by length within
 * buckets so that a batch's examples are of about one length, then the batches shuffled (the
 * original's `BucketSampler`, data_loader.py, except that an incomplete batch is kept).
 *
 * @param lengths the length of each example
 * @param epoch counted from 0; each has an order of its own, drawn from `seed`
 */
export function epochBatches(
  lengths: readonly number[],
  batchSize: number,
  seed: number,
  epoch: number,
): readonly (readonly number[])[] {
  const random = new Random(seed * 2 ** 20 + epoch);
  const order = random.shuffle(range(0, lengths.length));
  const bucketSize = batchSize * BATCHES_IN_BUCKET;
  const batches: (readonly number[])[] = [];
  for (let start = 0; start < order.length; start += bucketSize) {
    const bucket = order.slice(start, start + bucketSize);
    bucket.sort((a, b) => at(lengths, b) - at(lengths, a));
    for (let first = 0; first < bucket.length; first += batchSize) {
      batches.push(bucket.slice(first, first + batchSize));
    }
  }
  return random.shuffle(batches.map((batch) => [...batch]));
}

/** All examples in batches of neighbours of about one length, for evaluation. */
export function sortedBatches(
  lengths: readonly number[],
  batchSize: number,
): readonly (readonly number[])[] {
  const order = range(0, lengths.length).sort((a, b) => at(lengths, b) - at(lengths, a));
  return range(0, Math.ceil(order.length / batchSize)).map((batch) =>
    order.slice(batch * batchSize, (batch + 1) * batchSize),
  );
}
