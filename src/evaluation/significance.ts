import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { Random } from '../base/random.js';
import { addUp, checkCorpus, type Corpus, type Metric, type Scoring } from './metric.js';

/** How sure it is that one system scores otherwise than another. */
export interface Comparison {
  /** The name of the score, as `NIST-2`. */
  readonly score: string;
  readonly first: number;
  readonly second: number;
  /** `second − first`. */
  readonly difference: number;
  /** The middle 95 % of the differences of the resampled corpora. */
  readonly interval: readonly [low: number, high: number];
  /**
   * How often resampling alone moves the difference as far from its mean as it lies from 0
   * (two-sided); small where the systems differ.
   */
  readonly pValue: number;
}

/** Two systems, and how their scores differ. */
export interface SystemComparison {
  readonly first: string;
  readonly second: string;
  readonly comparisons: readonly Comparison[];
}

/** How many corpora are drawn. */
export const RESAMPLES = 1000;

/**
 * Compares two systems on the same instances by paired bootstrap resampling (Koehn 2004,
 * https://aclanthology.org/W04-3250; the p-value as Riezler and Maxwell 2005 and sacreBLEU): the
 * instances are drawn again with replacement, the same ones for both systems.
 *
 * @throws UserError where the systems do not answer the same number of instances.
 */
export function compareSystems(
  metric: Metric,
  first: Corpus,
  second: Corpus,
  seed = 12345,
): Comparison[] {
  checkCorpus(first);
  checkCorpus(second);
  checkSameLength(first, second);
  return compareStatistics(metric, metric.statistics(first), metric.statistics(second), seed);
}

/** @throws UserError where two corpora do not have the same number of responses. */
export function checkSameLength(first: Corpus, second: Corpus): void {
  const [one, other] = [first.hypotheses.length, second.hypotheses.length];
  if (one !== other) {
    throw new UserError(
      `One system has ${one} responses and the other ${other}; compare systems on the same instances.`,
    );
  }
}

/** {@link compareSystems} of statistics at hand, a row for each instance. */
export function compareStatistics(
  scoring: Scoring,
  first: readonly Float64Array[],
  second: readonly Float64Array[],
  seed = 12345,
): Comparison[] {
  const count = first.length;
  const scores = scoring.score(addUp(first));
  const others = scoring.score(addUp(second));
  const random = new Random(seed);
  const drawn: number[][] = [];
  for (let sample = 0; sample < RESAMPLES; sample++) {
    const weights = drawWeights(count, random);
    const [one, other] = [first, second].map((rows) => scoring.score(addUpWeighted(rows, weights)));
    drawn.push(scoring.labels.map((_, index) => (other?.[index] ?? 0) - (one?.[index] ?? 0)));
  }
  return scoring.labels.map((score, index) => {
    const difference = at(others, index) - at(scores, index);
    const differences = drawn.map((sample) => at(sample, index)).sort((a, b) => a - b);
    const mean = differences.reduce((sum, number) => sum + number, 0) / RESAMPLES;
    const farther = differences.filter(
      (number) => Math.abs(number - mean) >= Math.abs(difference),
    ).length;
    return {
      score,
      first: at(scores, index),
      second: at(others, index),
      difference,
      interval: middle(differences),
      pValue: (farther + 1) / (RESAMPLES + 1),
    };
  });
}

/** The bounds of the middle 95 % of sorted numbers. */
export function middle(sorted: readonly number[]): [low: number, high: number] {
  const place = (share: number): number => Math.round(share * (sorted.length - 1));
  return [at(sorted, place(0.025)), at(sorted, place(0.975))];
}

/** How often each of `count` things comes when `count` of them are drawn with replacement. */
export function drawWeights(count: number, random: Random): Uint32Array {
  const weights = new Uint32Array(count);
  for (let draw = 0; draw < count; draw++) {
    const index = random.below(count);
    weights[index] = (weights[index] ?? 0) + 1;
  }
  return weights;
}

function addUpWeighted(rows: readonly Float64Array[], weights: Uint32Array): Float64Array {
  const total = new Float64Array(rows[0]?.length ?? 0);
  rows.forEach((row, instance) => {
    const weight = weights[instance] ?? 0;
    if (weight === 0) return;
    for (let index = 0; index < total.length; index++) {
      total[index] = (total[index] ?? 0) + weight * (row[index] ?? 0);
    }
  });
  return total;
}
