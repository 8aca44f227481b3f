import { at, sum } from '../base/arrays.js';
import type { Dataset } from './dataset.js';

/** What a split of a dataset holds. */
export interface DatasetStatistics {
  readonly examples: number;
  /** Turns of all examples. */
  readonly turns: number;
  /** Turns that are learnt: of a weight other than 0, and not the first. */
  readonly learntTurns: number;
  /** Input tokens of all examples, what follows the last label among them. */
  readonly tokens: number;
  readonly labels: number;
  /** The lengths of examples in tokens: the shortest, the quartiles, and the longest. */
  readonly lengths: readonly number[];
  /** How many examples have 0, 1, 2, … turns. */
  readonly turnsPerExample: readonly number[];
  /** How many examples have 0, 1, 2, … input tokens. */
  readonly tokensPerExample: readonly number[];
  /** How many learnt turns have 0, 1, 2, … tokens. */
  readonly tokensPerLearntTurn: readonly number[];
}

/** Counts what a split of a dataset holds, shard by shard, without reading its tokens. */
export function datasetStatistics(dataset: Dataset): DatasetStatistics {
  const turnsPerExample: number[] = [];
  const tokensPerExample: number[] = [];
  const tokensPerLearntTurn: number[] = [];
  const total = { turns: 0, learntTurns: 0, labels: 0 };
  for (const { turnLengths, weights } of dataset.shapes()) {
    total.turns += turnLengths.length;
    count(turnsPerExample, turnLengths.length);
    for (let turn = 1; turn < turnLengths.length; turn++) {
      if (at(weights, turn) === 0) continue;
      const tokens = at(turnLengths, turn);
      total.learntTurns += 1;
      total.labels += tokens + 1;
      count(tokensPerLearntTurn, tokens);
    }
  }
  for (const length of dataset.lengths) count(tokensPerExample, length);
  return {
    examples: dataset.length,
    ...total,
    tokens: sum(dataset.lengths),
    lengths: [0, 0.25, 0.5, 0.75, 1].map((share) => quantile(tokensPerExample, share)),
    turnsPerExample,
    tokensPerExample,
    tokensPerLearntTurn,
  };
}

function count(histogram: number[], value: number): void {
  while (histogram.length <= value) histogram.push(0);
  histogram[value] = at(histogram, value) + 1;
}

/** The smallest value that at least this share of a histogram's values does not exceed. */
function quantile(histogram: readonly number[], share: number): number {
  const wanted = Math.max(1, share * sum(histogram));
  let below = 0;
  const found = histogram.findIndex((examples) => (below += examples) >= wanted);
  return Math.max(0, found);
}
