import { sum } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { countNgrams, type Ngrams, ngramsOfAllLengths } from './ngrams.js';
import { Sentences } from './sentences.js';
import { Pieces, splitWords, WordNumbers } from './words.js';

/** How varied responses are, with no regard to references (the original's dstc/metrics.py). */
export interface Diversity {
  /**
   * The entropy, in nats, of the n-grams of 1 to 4 words (`calc_entropy`; Zhang et al. 2018,
   * https://arxiv.org/abs/1809.05972).
   */
  readonly entropy: readonly number[];
  /**
   * Different n-grams per n-gram, for 1 and 2 words (`calc_diversity`; Li et al. 2016,
   * https://arxiv.org/abs/1510.03055). Where there is no n-gram, 0; the original divides by zero.
   */
  readonly distinct: readonly number[];
  /** Words per response (`calc_len`). */
  readonly averageLength: number;
}

/**
 * Measures all of {@link Diversity} in one pass.
 *
 * @throws UserError where there is no response.
 */
export function diversity(hypotheses: readonly string[], pieces = new Pieces()): Diversity {
  if (hypotheses.length === 0) {
    throw new UserError('There is no response to score; the file is empty.');
  }
  const sentences = new Sentences(
    { hypotheses, references: [] },
    new WordNumbers(pieces, splitWords),
  );
  const byOrder = ngramsOfAllLengths(sentences.words).map(frequenciesOf);
  return {
    entropy: byOrder.map(entropyOf),
    distinct: byOrder
      .slice(0, 2)
      .map((frequencies) => frequencies.length / (sum(frequencies) || 1)),
    averageLength: sum(byOrder[0] ?? []) / hypotheses.length,
  };
}

/** The entropy of n-grams of 1, 2, 3 and 4 words, in nats. */
export function entropy(hypotheses: readonly string[]): readonly number[] {
  return diversity(hypotheses).entropy;
}

/** Different n-grams per n-gram, for n-grams of 1 and 2 words. */
export function distinct(hypotheses: readonly string[]): readonly number[] {
  return diversity(hypotheses).distinct;
}

/** Words per response. */
export function averageLength(hypotheses: readonly string[]): number {
  return diversity(hypotheses).averageLength;
}

/** How often each different n-gram comes. */
function frequenciesOf(ngrams: Ngrams): Int32Array {
  return countNgrams(ngrams).subarray(1);
}

function entropyOf(counts: Int32Array): number {
  const total = sum(counts);
  let entropy = 0;
  for (const count of counts) entropy += (-count / total) * (Math.log(count) - Math.log(total));
  return entropy;
}
