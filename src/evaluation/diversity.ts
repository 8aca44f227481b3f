import { sum } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { forEachNgram, LONGEST_NGRAM, NgramNumbers } from './ngrams.js';
import { splitWords, WordNumbers } from './words.js';

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
export function diversity(
  hypotheses: readonly string[],
  words: WordNumbers = new WordNumbers(splitWords),
): Diversity {
  if (hypotheses.length === 0) {
    throw new UserError('There is no response to score; the file is empty.');
  }
  const numbers = new NgramNumbers();
  const add = (prefix: number, word: number): number => numbers.add(prefix, word);
  // By number: the n-gram's order and how often it occurs; number 0 is the empty n-gram.
  const orders = [0];
  const counts = [0];
  let length = 0;
  for (const hypothesis of hypotheses) {
    const sentence = words.of(hypothesis);
    length += sentence.length;
    forEachNgram(sentence, add, (ngram, order) => {
      orders[ngram] = order;
      counts[ngram] = (counts[ngram] ?? 0) + 1;
    });
  }
  const byOrder = Array.from({ length: LONGEST_NGRAM }, (_, order) =>
    counts.filter((_count, ngram) => orders[ngram] === order + 1),
  );
  return {
    entropy: byOrder.map(entropyOf),
    distinct: byOrder
      .slice(0, 2)
      .map((frequencies) => frequencies.length / (sum(frequencies) || 1)),
    averageLength: length / hypotheses.length,
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

function entropyOf(counts: readonly number[]): number {
  const total = sum(counts);
  let entropy = 0;
  for (const count of counts) entropy += (-count / total) * (Math.log(count) - Math.log(total));
  return entropy;
}
