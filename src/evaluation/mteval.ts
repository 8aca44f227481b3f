import { at } from '../base/arrays.js';
import { type Corpus, type Metric, scoreCorpus } from './metric.js';
import { type MatchedCorpus, type MatchedNgrams, matchNgrams } from './matched-ngrams.js';
import { EMPTY_NGRAM, LONGEST_NGRAM, NgramNumbers } from './ngrams.js';
import { remembered, splitWordsAsPerl, WordNumbers } from './words.js';

/**
 * NIST and BLEU as mteval-v14c.pl (NIST, 2016) prints them under "Cumulative N-gram scoring" for
 * the XML that `_write_xml` of DSTC-7's metrics.py makes of the texts.
 */
export function mtevalMetric(words: WordNumbers = new WordNumbers(mtevalWords)): Metric {
  const orders = Array.from({ length: LONGEST_NGRAM }, (_, index) => index + 1);
  return {
    name: 'mteval',
    labels: [...orders.map((order) => `NIST-${order}`), ...orders.map((order) => `BLEU-${order}`)],
    statistics(corpus) {
      const matched = matchNgrams(corpus, words);
      const zero = words.numberOf('0');
      const information = informationOf(matched, zero);
      return matched.instances.map((instance) => rowOf(instance, matched.numbers, information));
    },
    score: (total) => [...nistScores(total), ...bleuScores(total)],
  };
}

/** Cumulative NIST with n-grams of up to 1, 2, 3 and 4 words. */
export function nist(corpus: Corpus): number[] {
  return scoreCorpus(mtevalMetric(), corpus).slice(0, LONGEST_NGRAM);
}

/** Cumulative BLEU with n-grams of up to 1, 2, 3 and 4 words, from 0 to 1. */
export function bleu(corpus: Corpus): number[] {
  return scoreCorpus(mtevalMetric(), corpus).slice(LONGEST_NGRAM);
}

/**
 * The words of a line as mteval-v14c has them: `&` and `<` are lost on the way into XML, links
 * stay whole, ASCII letters are lowered, ASCII punctuation stands apart, periods and commas
 * except between digits, dashes after digits. An empty line becomes `__empty__`, five words, as in
 * DSTC-7's metrics.py (DialoGPT's copy of it lacks this, and differs in the fourth digit).
 */
export function mtevalWords(line: string): string[] {
  const text = line === '' ? '__empty__' : line.replace(/[&<]/g, ' ');
  return splitWordsAsPerl(text).flatMap(wordsOfToken);
}

const wordsOfToken = remembered((token) =>
  /^https?:\/\//.test(token) ? [token] : splitWordsAsPerl(separate(token)),
);

function separate(token: string): string {
  const lowered = token.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return separatePunctuation(` ${lowered} `);
}

/**
 * The language-dependent part of mteval's tokenisation, as v13a and v14c share it. What stands
 * between two spaces comes out the same alone as in its line.
 */
export function separatePunctuation(line: string): string {
  return line
    .replace(/([{-~[-` -&(-+:-@/])/gu, ' $1 ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/gu, '$1 $2 ');
}

// One instance's numbers: matched n-grams by order, the hypothesis's n-grams by order, the matched
// n-grams' information by order, the closest reference's length, the references' mean length.
const MATCHED = 0;
const TOTAL = LONGEST_NGRAM;
const INFORMATION = 2 * LONGEST_NGRAM;
const CLOSEST_LENGTH = 3 * LONGEST_NGRAM;
const MEAN_LENGTH = CLOSEST_LENGTH + 1;

function rowOf(
  instance: MatchedNgrams,
  numbers: NgramNumbers,
  information: Float64Array,
): Float64Array {
  const row = new Float64Array(MEAN_LENGTH + 1);
  row.set(instance.matched, MATCHED);
  row.set(instance.total, TOTAL);
  instance.ngrams.forEach((ngram, place) => {
    const index = INFORMATION + orderOf(numbers, ngram) - 1;
    row[index] = at(row, index) + at(information, ngram) * at(instance.counts, place);
  });
  row[CLOSEST_LENGTH] = instance.closestLength;
  row[MEAN_LENGTH] = instance.meanReferenceLength;
  return row;
}

function orderOf(numbers: NgramNumbers, ngram: number): number {
  let order = 0;
  for (let rest = ngram; rest !== EMPTY_NGRAM; rest = numbers.prefixOf(rest)) order++;
  return order;
}

/**
 * How surprising an n-gram's last word is after the others, in bits, over all references. Perl
 * takes the text "0" for false: after the lone word "0" mteval counts as if nothing went before.
 */
function informationOf(matched: MatchedCorpus, zero: number | undefined): Float64Array {
  const { numbers, referenceCounts, referenceWords } = matched;
  const loneZero = zero === undefined ? -1 : numbers.find(EMPTY_NGRAM, zero);
  return referenceCounts.map((count, ngram) => {
    if (count === 0) return 0;
    const prefix = numbers.prefixOf(ngram);
    const base =
      prefix === EMPTY_NGRAM || prefix === loneZero ? referenceWords : at(referenceCounts, prefix);
    return -Math.log(count / base) / Math.log(2);
  });
}

function nistScores(total: Float64Array): number[] {
  const meanLength = at(total, MEAN_LENGTH);
  const penalty = meanLength > 0 ? nistLengthPenalty(at(total, TOTAL) / meanLength) : 1;
  let score = 0;
  return cumulative((order) => {
    score += at(total, INFORMATION + order) / Math.max(at(total, TOTAL + order), 1);
    return score * penalty;
  });
}

/** One for hypotheses at least as long as the references, a half at two thirds of the length. */
function nistLengthPenalty(ratio: number): number {
  if (ratio >= 1) return 1;
  if (ratio <= 0) return 0;
  const beta = -Math.log(0.5) / Math.log(1.5) / Math.log(1.5);
  return Math.exp(-beta * Math.log(ratio) * Math.log(ratio));
}

function bleuScores(total: Float64Array): number[] {
  const words = at(total, TOTAL);
  const brevity = words > 0 ? Math.exp(Math.min(0, 1 - at(total, CLOSEST_LENGTH) / words)) : 0;
  let smoothing = 1;
  let score = 0;
  return cumulative((order) => {
    const matched = at(total, MATCHED + order);
    const all = at(total, TOTAL + order);
    if (all > 0 && matched === 0) {
      smoothing *= 2;
      score += Math.log(1 / (smoothing * all));
    } else if (all > 0) {
      score += Math.log(matched / all);
    }
    return Math.exp(score / (order + 1)) * brevity;
  });
}

function cumulative(scoreUpTo: (order: number) => number): number[] {
  return Array.from({ length: LONGEST_NGRAM }, (_, order) => scoreUpTo(order));
}
