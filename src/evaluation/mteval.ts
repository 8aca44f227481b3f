import { at, sum } from '../base/arrays.js';
import { MatchedSentences } from './matched-ngrams.js';
import { type Corpus, type Metric, scoreCorpus } from './metric.js';
import { countNgrams, LONGEST_NGRAM } from './ngrams.js';
import { Pieces, splitWordsAsPerl, WordNumbers } from './words.js';

/**
 * NIST and BLEU as mteval-v14c.pl (NIST, 2016) prints them under "Cumulative N-gram scoring" for
 * the XML that `_write_xml` of DSTC-7's metrics.py makes of the texts.
 */
export function mtevalMetric(pieces = new Pieces()): Metric {
  const words = new WordNumbers(pieces, mtevalWords);
  const orders = Array.from({ length: LONGEST_NGRAM }, (_, index) => index + 1);
  return {
    name: 'mteval',
    labels: [...orders.map((order) => `NIST-${order}`), ...orders.map((order) => `BLEU-${order}`)],
    statistics: (corpus) => rowsOf(corpus, words),
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
  return splitWordsAsPerl(text).flatMap((token) =>
    /^https?:\/\//.test(token) ? [token] : splitWordsAsPerl(separate(token)),
  );
}

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

function rowsOf(corpus: Corpus, words: WordNumbers): Float64Array[] {
  const sentences = new MatchedSentences(corpus, words);
  const rows = corpus.hypotheses.map((_, instance) => {
    const row = new Float64Array(MEAN_LENGTH + 1);
    const lengths = sentences.referenceLengths(instance);
    row.set(sentences.ngramTotals(instance), TOTAL);
    row[CLOSEST_LENGTH] = sentences.closestLength(instance);
    row[MEAN_LENGTH] = sum(lengths) / lengths.length;
    return row;
  });
  const information = informationOf(sentences, words.numberOf('0'));
  sentences.forEachMatch((instance, order, place, times) => {
    const row = at(rows, instance);
    row[MATCHED + order] = at(row, MATCHED + order) + times;
    row[INFORMATION + order] = at(row, INFORMATION + order) + information(order, place) * times;
  });
  return rows;
}

/**
 * How surprising the last word of the n-gram at a place is after the others, in bits, over all
 * references. Perl takes the text "0" for false: after the lone word "0" mteval counts as if
 * nothing went before.
 */
function informationOf(
  { ngrams, referenceStart, referenceWords }: MatchedSentences,
  zero: number | undefined,
): (order: number, place: number) => number {
  const counts = ngrams.map((ofOneLength) => countNgrams(ofOneLength, referenceStart));
  const countAt = (order: number, place: number): number =>
    at(at(counts, order), at(at(ngrams, order).numbers, place));
  return (order, place) => {
    const afterNothing = order === 0 || (order === 1 && at(ngrams, 0).numbers[place] === zero);
    const base = afterNothing ? referenceWords : countAt(order - 1, place);
    return -Math.log(countAt(order, place) / base) / Math.log(2);
  };
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
