import { at } from '../base/arrays.js';
import { type Corpus, type Metric, scoreCorpus } from './metric.js';
import { forEachNgram, LONGEST_NGRAM, NgramCounts, NgramNumbers } from './ngrams.js';
import { splitWords, WordNumbers } from './words.js';

/** The width of the penalty for a difference in length. */
const SIGMA = 6;

/**
 * CIDEr-D as the original's copy of the COCO caption tools computes it (pycocoevalcap/cider;
 * Vedantam et al. 2015, https://arxiv.org/abs/1411.5726): how alike the tf-idf vectors of the
 * n-grams are, rare n-grams counting more, times 10. An n-gram's rarity is taken over the
 * references of the whole corpus, so that a corpus of one instance scores 0.
 */
export function ciderMetric(words: WordNumbers = new WordNumbers(splitWords)): Metric {
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
  const { ngramsOf, orders } = numberNgrams([...hypotheses, ...references.flat()], words);

  // In how many instances' references each n-gram occurs.
  const frequencies = new Float64Array(orders.length);
  const lastSeen = new Int32Array(orders.length).fill(-1);
  references.forEach((texts, instance) => {
    for (const text of texts) {
      for (const ngram of ngramsOf(text)) {
        if (lastSeen[ngram] === instance) continue;
        lastSeen[ngram] = instance;
        frequencies[ngram] = (frequencies[ngram] ?? 0) + 1;
      }
    }
  });
  const rarities = frequencies.map(
    (frequency) => Math.log(hypotheses.length) - Math.log(Math.max(1, frequency)),
  );

  const ofHypothesis = new NgramCounts(orders.length);
  const ofReference = new NgramCounts(orders.length);
  const count = (text: string, counts: NgramCounts): void => {
    counts.clear();
    for (const ngram of ngramsOf(text)) counts.add(ngram);
  };
  const similarities = new Float64Array(LONGEST_NGRAM);
  const hypothesisNorms = new Float64Array(LONGEST_NGRAM);
  const referenceNorms = new Float64Array(LONGEST_NGRAM);
  return hypotheses.map((hypothesis, index) => {
    count(hypothesis, ofHypothesis);
    squaredNorms(ofHypothesis, orders, rarities, hypothesisNorms);
    const texts = at(references, index);
    let total = 0;
    for (const text of texts) {
      count(text, ofReference);
      squaredNorms(ofReference, orders, rarities, referenceNorms);
      similarities.fill(0);
      for (const ngram of ofHypothesis.seen) {
        const inReference = ofReference.of(ngram);
        if (inReference === 0) continue;
        const rarity = rarities[ngram] ?? 0;
        const order = orders[ngram] ?? 0;
        const clipped = Math.min(ofHypothesis.of(ngram), inReference) * rarity;
        similarities[order] = (similarities[order] ?? 0) + clipped * inReference * rarity;
      }
      // The original takes the number of 2-grams for the length.
      const difference = pairsIn(words.of(hypothesis)) - pairsIn(words.of(text));
      const penalty = Math.E ** (-(difference ** 2) / (2 * SIGMA ** 2));
      similarities.forEach((similarity, order) => {
        const norm = Math.sqrt(at(hypothesisNorms, order)) * Math.sqrt(at(referenceNorms, order));
        total += (norm === 0 ? similarity : similarity / norm) * penalty;
      });
    }
    return (10 * total) / LONGEST_NGRAM / texts.length;
  });
}

/** Numbers the n-grams of texts; `orders` holds each n-gram's number of words less one. */
function numberNgrams(
  texts: readonly string[],
  words: WordNumbers,
): { ngramsOf: (text: string) => Int32Array; orders: Uint8Array } {
  const numbers = new NgramNumbers();
  const add = (prefix: number, word: number): number => numbers.add(prefix, word);
  const orders = [0];
  const byText = new Map<string, Int32Array>();
  for (const text of texts) {
    if (byText.has(text)) continue;
    const ngrams: number[] = [];
    forEachNgram(words.of(text), add, (ngram, order) => {
      ngrams.push(ngram);
      orders[ngram] = order - 1;
    });
    byText.set(text, Int32Array.from(ngrams));
  }
  const none = new Int32Array(0);
  return { ngramsOf: (text) => byText.get(text) ?? none, orders: Uint8Array.from(orders) };
}

function squaredNorms(
  counts: NgramCounts,
  orders: Uint8Array,
  rarities: Float64Array,
  norms: Float64Array,
): void {
  norms.fill(0);
  for (const ngram of counts.seen) {
    const order = orders[ngram] ?? 0;
    norms[order] = (norms[order] ?? 0) + (counts.of(ngram) * (rarities[ngram] ?? 0)) ** 2;
  }
}

function pairsIn(words: Int32Array): number {
  return Math.max(0, words.length - 1);
}
