import { at } from '../base/arrays.js';
import type { Corpus } from './metric.js';
import { forEachNgram, LONGEST_NGRAM, NgramCounts, NgramNumbers } from './ngrams.js';
import type { WordNumbers } from './words.js';

/** What an instance's hypothesis shares with its references; arrays are by order − 1. */
export interface MatchedNgrams {
  /** n-grams of the hypothesis, each counted at most as often as the reference that has it most. */
  readonly matched: readonly number[];
  /** All n-grams of the hypothesis. */
  readonly total: readonly number[];
  readonly hypothesisLength: number;
  /** The length of the reference closest to the hypothesis; of two, the shorter. */
  readonly closestLength: number;
  readonly meanReferenceLength: number;
  /** The different n-grams that matched, and how often. */
  readonly ngrams: readonly number[];
  readonly counts: readonly number[];
}

/** The matched n-grams of every instance, and how common each n-gram is in all references. */
export interface MatchedCorpus {
  readonly instances: readonly MatchedNgrams[];
  readonly numbers: NgramNumbers;
  /** How often each n-gram of the hypotheses occurs in the references. */
  readonly referenceCounts: Float64Array;
  /** Words in all references. */
  readonly referenceWords: number;
}

/**
 * Counts what BLEU and NIST are made of. Only n-grams that some hypothesis has are looked for in
 * the references: most of the others end at their second word.
 */
export function matchNgrams({ hypotheses, references }: Corpus, words: WordNumbers): MatchedCorpus {
  const numbers = new NgramNumbers();
  const add = (prefix: number, word: number): number => numbers.add(prefix, word);
  const find = (prefix: number, word: number): number => numbers.find(prefix, word);
  for (const hypothesis of hypotheses) forEachNgram(words.of(hypothesis), add, () => undefined);

  const referenceCounts = new Float64Array(numbers.size);
  let referenceWords = 0;
  const inHypothesis = new NgramCounts(numbers.size);
  const inReference = new NgramCounts(numbers.size);
  const inAnyReference = new NgramCounts(numbers.size);
  const orders = new Uint8Array(numbers.size);
  const instances = hypotheses.map((hypothesis, index): MatchedNgrams => {
    const hypothesisWords = words.of(hypothesis);
    inHypothesis.clear();
    inAnyReference.clear();
    forEachNgram(hypothesisWords, find, (ngram, order) => {
      inHypothesis.add(ngram);
      orders[ngram] = order;
    });
    const lengths = at(references, index).map((reference) => {
      const referenceWordNumbers = words.of(reference);
      inReference.clear();
      forEachNgram(referenceWordNumbers, find, (ngram) => {
        inReference.add(ngram);
      });
      for (const ngram of inReference.seen) {
        const count = inReference.of(ngram);
        referenceCounts[ngram] = (referenceCounts[ngram] ?? 0) + count;
        inAnyReference.raise(ngram, count);
      }
      referenceWords += referenceWordNumbers.length;
      return referenceWordNumbers.length;
    });
    const ngrams = inHypothesis.seen.filter((ngram) => inAnyReference.of(ngram) > 0);
    const counts = ngrams.map((ngram) =>
      Math.min(inHypothesis.of(ngram), inAnyReference.of(ngram)),
    );
    const matched = new Array<number>(LONGEST_NGRAM).fill(0);
    ngrams.forEach((ngram, place) => {
      const order = at(orders, ngram) - 1;
      matched[order] = at(matched, order) + at(counts, place);
    });
    const length = hypothesisWords.length;
    return {
      matched,
      total: matched.map((_, order) => Math.max(0, length - order)),
      hypothesisLength: length,
      closestLength: closest(lengths, length),
      meanReferenceLength: lengths.reduce((sum, other) => sum + other, 0) / lengths.length,
      ngrams,
      counts,
    };
  });
  return { instances, numbers, referenceCounts, referenceWords };
}

function closest(lengths: readonly number[], length: number): number {
  return lengths.reduce((best, other) => {
    const difference = Math.abs(other - length) - Math.abs(best - length);
    return difference < 0 || (difference === 0 && other < best) ? other : best;
  });
}
