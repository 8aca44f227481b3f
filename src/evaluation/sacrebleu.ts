import { at } from '../base/arrays.js';
import { type Corpus, type Metric, scoreCorpus } from './metric.js';
import { separatePunctuation } from './mteval.js';
import { LONGEST_NGRAM } from './ngrams.js';
import { MatchedSentences } from './matched-ngrams.js';
import { Pieces, splitWords, WordNumbers } from './words.js';

/**
 * BLEU as sacreBLEU computes it by default (signature `case:mixed|eff:no|tok:13a|smooth:exp`;
 * Post 2018, https://aclanthology.org/W18-6319).
 */
export function sacreBleuMetric(pieces = new Pieces()): Metric {
  const words = new WordNumbers(pieces, sacreBleuWords);
  return {
    name: 'sacreBLEU',
    labels: ['sacreBLEU'],
    statistics: (corpus) => rowsOf(corpus, words),
    score: (total) => [scoreOf(total)],
  };
}

/** sacreBLEU of a corpus, from 0 to 100. */
export function sacreBleu(corpus: Corpus): number {
  return at(scoreCorpus(sacreBleuMetric(), corpus), 0);
}

/** The words of a text by sacreBLEU's tokenizer `13a`. */
export function sacreBleuWords(text: string): string[] {
  const line = text.includes('\n') ? text.replaceAll('-\n', '').replaceAll('\n', ' ') : text;
  return splitWords(line).flatMap((token) => {
    const plain = token
      .replaceAll('<skipped>', '')
      .replaceAll('&quot;', '"')
      .replaceAll('&amp;', '&')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>');
    return splitWords(separatePunctuation(` ${plain} `));
  });
}

// One instance's numbers: matched n-grams by order, the hypothesis's n-grams by order, its length,
// and that of the closest reference.
const MATCHED = 0;
const TOTAL = LONGEST_NGRAM;
const LENGTH = 2 * LONGEST_NGRAM;
const CLOSEST_LENGTH = LENGTH + 1;

function rowsOf(corpus: Corpus, words: WordNumbers): Float64Array[] {
  const sentences = new MatchedSentences(corpus, words);
  const rows = corpus.hypotheses.map((_, instance) => {
    const row = new Float64Array(CLOSEST_LENGTH + 1);
    row[LENGTH] = sentences.length(instance);
    row[CLOSEST_LENGTH] = sentences.closestLength(instance);
    row.set(sentences.ngramTotals(instance), TOTAL);
    return row;
  });
  sentences.forEachMatch((instance, order, _place, times) => {
    const row = at(rows, instance);
    row[MATCHED + order] = at(row, MATCHED + order) + times;
  });
  return rows;
}

function scoreOf(total: Float64Array): number {
  const length = at(total, LENGTH);
  const closestLength = at(total, CLOSEST_LENGTH);
  if (total.subarray(MATCHED, TOTAL).every((matched) => matched === 0)) return 0;
  let smoothing = 1;
  let score = 0;
  for (let order = 0; order < LONGEST_NGRAM; order++) {
    const matched = at(total, MATCHED + order);
    const all = at(total, TOTAL + order);
    // Responses too short for any n-gram of this length: without "effective order" nothing is left.
    if (all === 0) return 0;
    if (matched === 0) smoothing *= 2;
    score += Math.log((100 * (matched === 0 ? 1 / smoothing : matched)) / all);
  }
  const brevity = length < closestLength ? Math.exp(1 - closestLength / length) : 1;
  return brevity * Math.exp(score / LONGEST_NGRAM);
}
