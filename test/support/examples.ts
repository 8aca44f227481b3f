import { type Example, IGNORED_LABEL } from '../../src/dataset/index.js';
import { Random } from '../../src/base/random.js';
import { range } from '../../src/base/arrays.js';
import type { GoldenRow } from './golden.js';

/** A dialogue of the golden files as an example. */
export function toGoldenExample(row: GoldenRow): Example {
  return {
    inputIds: Int32Array.from(row.input_ids),
    labels: Int32Array.from(row.labels),
    tokenTypeIds: Int32Array.from(row.token_type_ids),
    weights: Float32Array.from(row.labels, (label) => (label === IGNORED_LABEL ? 0 : 1)),
  };
}

/** An example of random tokens whose second half is labelled. */
export function randomExample(length: number, vocabulary: number, random: Random): Example {
  const ids = range(0, length + 1).map(() => random.below(vocabulary));
  const labelled = (position: number) => position >= Math.floor(length / 2);
  return {
    inputIds: Int32Array.from(ids.slice(0, -1)),
    labels: Int32Array.from(ids.slice(1), (id, position) =>
      labelled(position) ? id : IGNORED_LABEL,
    ),
    tokenTypeIds: Int32Array.from(ids.slice(1), (_, position) => Number(labelled(position))),
    weights: Float32Array.from(ids.slice(1), (_, position) => Number(labelled(position))),
  };
}
