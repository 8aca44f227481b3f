import { at } from '../base/arrays.js';
import { type Corpus, type Metric, scoreCorpus } from './metric.js';
import { countNgrams, lengthen, LONGEST_NGRAM, type Ngrams } from './ngrams.js';
import { Sentences } from './sentences.js';
import { Pieces, splitWords, WordNumbers } from './words.js';

/** The width of the penalty for a difference in length. */
const SIGMA = 6;

/**
 * CIDEr-D as the original's copy of the COCO caption tools computes it (pycocoevalcap/cider;
 * Vedantam et al. 2015, https://arxiv.org/abs/1411.5726): how alike the tf-idf vectors of the
 * n-grams are, rare n-grams counting more, times 10. An n-gram's rarity is taken over the
 * references of the whole corpus, so that a corpus of one instance scores 0.
 */
export function ciderMetric(pieces = new Pieces()): Metric {
  const words = new WordNumbers(pieces, splitWords);
  return {
    name: 'CIDEr',
    labels: ['CIDEr'],
    statistics: (corpus) => ciderScores(corpus, words).map((score) => Float64Array.of(score, 1)),
    score: (total) => [at(total, 0) / at(total, 1)],
  };
}

/** CIDEr of a corpus, from 0 to 10. */
export function cider(corpus: Corpus): number {
  return at(scoreCorpus(ciderMetric(), corpus), 0);
}

function ciderScores({ hypotheses, references }: Corpus, words: WordNumbers): number[] {
  const sentences = new Sentences({ hypotheses, references }, words);
  const byOrder: Float64Array[] = [];
  let ngrams = sentences.words;
  for (let order = 0; order < LONGEST_NGRAM; order++) {
    ngrams = withoutUnique(order === 0 ? ngrams : lengthen(ngrams));
    byOrder.push(similarities(sentences, ngrams, order));
  }
  return hypotheses.map((_, instance) => {
    const pairs = pairsIn(sentences.length(instance));
    const ofInstance = sentences.references(instance);
    let total = 0;
    for (const reference of ofInstance) {
      // The original takes the number of 2-grams for the length.
      const difference = pairs - pairsIn(sentences.length(reference));
      const penalty = Math.E ** (-(difference ** 2) / (2 * SIGMA ** 2));
      for (const ofOrder of byOrder) total += at(ofOrder, reference) * penalty;
    }
    return (10 * total) / LONGEST_NGRAM / ofInstance.length;
  });
}

/**
 * Leaves out the n-grams that come once. They match nothing, and neither do longer ones that hold
 * them; to know that they are there, and rare, is enough.
 */
function withoutUnique(ngrams: Ngrams): Ngrams {
  const counts = countNgrams(ngrams);
  const numbers = ngrams.numbers.slice();
  for (let place = 0; place < numbers.length; place++) {
    if (counts[numbers[place] ?? 0] === 1) numbers[place] = 0;
  }
  return { numbers, size: ngrams.size };
}

/** How alike the vectors of n-grams of one length are, for each reference. */
function similarities(sentences: Sentences, ngrams: Ngrams, order: number): Float64Array {
  const { numbers, size } = ngrams;
  const rarities = raritiesOf(sentences, ngrams);
  const inHypothesis = new Int32Array(size);
  const inReference = new Int32Array(size);
  const different: number[] = [];
  const count = (sentence: number, counts: Int32Array): void => {
    const end = sentences.end(sentence);
    for (let place = sentences.start(sentence); place < end; place++) {
      const ngram = numbers[place] ?? 0;
      counts[ngram] = (counts[ngram] ?? 0) + 1;
    }
  };
  /** Sets the counts back to 0. */
  const squaredNorm = (sentence: number, counts: Int32Array): number => {
    const end = sentences.end(sentence) - order;
    let norm = 0;
    for (let place = sentences.start(sentence); place < end; place++) {
      const ngram = numbers[place] ?? 0;
      const weight = (ngram === 0 ? 1 : (counts[ngram] ?? 0)) * (rarities[ngram] ?? 0);
      norm += weight * weight;
      counts[ngram] = 0;
    }
    return norm;
  };
  const result = new Float64Array(sentences.count);
  for (let instance = 0; instance < sentences.instances; instance++) {
    count(instance, inHypothesis);
    const hypothesisNorm = Math.sqrt(squaredNorm(instance, inHypothesis));
    different.length = 0;
    for (let place = sentences.start(instance); place < sentences.end(instance); place++) {
      const ngram = numbers[place] ?? 0;
      if (ngram === 0) continue;
      if (inHypothesis[ngram] === 0) different.push(ngram);
      inHypothesis[ngram] = (inHypothesis[ngram] ?? 0) + 1;
    }
    const next = sentences.firstReference(instance + 1);
    for (let reference = sentences.firstReference(instance); reference < next; reference++) {
      count(reference, inReference);
      let similarity = 0;
      for (const ngram of different) {
        const times = inReference[ngram] ?? 0;
        const rarity = rarities[ngram] ?? 0;
        similarity += Math.min(inHypothesis[ngram] ?? 0, times) * rarity * times * rarity;
      }
      const norm = hypothesisNorm * Math.sqrt(squaredNorm(reference, inReference));
      result[reference] = norm === 0 ? similarity : similarity / norm;
    }
    for (const ngram of different) inHypothesis[ngram] = 0;
  }
  return result;
}

/** How rare each n-gram is, by the number of instances whose references have it. */
function raritiesOf(sentences: Sentences, { numbers, size }: Ngrams): Float64Array {
  const frequencies = new Float64Array(size);
  const lastSeen = new Int32Array(size).fill(-1);
  for (let instance = 0; instance < sentences.instances; instance++) {
    const next = sentences.firstReference(instance + 1);
    for (let reference = sentences.firstReference(instance); reference < next; reference++) {
      const end = sentences.end(reference);
      for (let place = sentences.start(reference); place < end; place++) {
        const ngram = numbers[place] ?? 0;
        if (ngram === 0 || lastSeen[ngram] === instance) continue;
        lastSeen[ngram] = instance;
        frequencies[ngram] = (frequencies[ngram] ?? 0) + 1;
      }
    }
  }
  return frequencies.map(
    (frequency) => Math.log(sentences.instances) - Math.log(Math.max(1, frequency)),
  );
}

function pairsIn(words: number): number {
  return Math.max(0, words - 1);
}
