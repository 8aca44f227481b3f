import type { Corpus } from './metric.js';
import { LONGEST_NGRAM, type Ngrams, ngramsOfAllLengths } from './ngrams.js';
import { Sentences } from './sentences.js';
import type { WordNumbers } from './words.js';

/** A corpus's sentences, and the n-grams that BLEU and NIST count in them. */
export class MatchedSentences extends Sentences {
  /** By length less one; those that no hypothesis has are left out. */
  readonly ngrams: readonly Ngrams[];

  constructor(corpus: Corpus, words: WordNumbers) {
    super(corpus, words);
    this.ngrams = ngramsOfAllLengths(this.words, this.referenceStart);
  }

  /** How many n-grams of each length a hypothesis has. */
  ngramTotals(instance: number): number[] {
    const length = this.length(instance);
    return Array.from({ length: LONGEST_NGRAM }, (_, order) => Math.max(0, length - order));
  }

  /** How many words each of an instance's references has. */
  referenceLengths(instance: number): number[] {
    return this.references(instance).map((reference) => this.length(reference));
  }

  /** The length of the reference closest to the hypothesis; of two, the shorter. */
  closestLength(instance: number): number {
    const length = this.length(instance);
    return this.referenceLengths(instance).reduce((best, other) => {
      const difference = Math.abs(other - length) - Math.abs(best - length);
      return difference < 0 || (difference === 0 && other < best) ? other : best;
    });
  }

  /**
   * Finds the n-grams that hypotheses share with their references.
   *
   * @param visit Is called for each different one of an instance, in the order of the hypothesis,
   *   with its length less one, its first place, and how often it comes: at most as often as in
   *   the reference that has it most.
   */
  forEachMatch(
    visit: (instance: number, order: number, place: number, times: number) => void,
  ): void {
    this.ngrams.forEach(({ numbers, size }, order) => {
      const inHypothesis = new Int32Array(size);
      const inReference = new Int32Array(size);
      const inAnyReference = new Int32Array(size);
      for (let instance = 0; instance < this.instances; instance++) {
        const start = this.start(instance);
        const end = this.end(instance);
        for (let place = start; place < end; place++) {
          const ngram = numbers[place] ?? 0;
          if (ngram !== 0) inHypothesis[ngram] = (inHypothesis[ngram] ?? 0) + 1;
        }
        const next = this.firstReference(instance + 1);
        for (let reference = this.firstReference(instance); reference < next; reference++) {
          const referenceStart = this.start(reference);
          const referenceEnd = this.end(reference);
          for (let place = referenceStart; place < referenceEnd; place++) {
            const ngram = numbers[place] ?? 0;
            if (inHypothesis[ngram] === 0) continue;
            const count = (inReference[ngram] ?? 0) + 1;
            inReference[ngram] = count;
            if (count > (inAnyReference[ngram] ?? 0)) inAnyReference[ngram] = count;
          }
          for (let place = referenceStart; place < referenceEnd; place++) {
            inReference[numbers[place] ?? 0] = 0;
          }
        }
        for (let place = start; place < end; place++) {
          const ngram = numbers[place] ?? 0;
          const times = Math.min(inHypothesis[ngram] ?? 0, inAnyReference[ngram] ?? 0);
          inHypothesis[ngram] = 0;
          inAnyReference[ngram] = 0;
          if (times > 0) visit(instance, order, place, times);
        }
      }
    });
  }
}
