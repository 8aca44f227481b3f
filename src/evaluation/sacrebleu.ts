import { at } from '../base/arrays.js';
import { type Corpus, type Metric, scoreCorpus } from './metric.js';
import { matchNgrams } from './matched-ngrams.js';
import { separatePunctuation } from './mteval.js';
import { LONGEST_NGRAM } from './ngrams.js';
import { remembered, splitWords, WordNumbers } from './words.js';

/**
 * BLEU as sacreBLEU computes it by default (signature `case:mixed|eff:no|tok:13a|smooth:exp`;
 * Post 2018, https://aclanthology.org/W18-6319).
 */
export function sacreBleuMetric(words: WordNumbers = new WordNumbers(sacreBleuWords)): Metric {
  return {
    name: 'sacreBLEU',
    labels: ['sacreBLEU'],
    statistics: (corpus) =>
      matchNgrams(corpus, words).instances.map((instance) =>
        Float64Array.of(
          ...instance.matched,
          ...instance.total,
          instance.hypothesisLength,
          instance.closestLength,
        ),
      ),
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
  return splitWords(line).flatMap(wordsOfToken);
}

const wordsOfToken = remembered((token) => {
  const plain = token
    .replaceAll('<skipped>', '')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>');
  return splitWords(separatePunctuation(` ${plain} `));
});

function scoreOf(total: Float64Array): number {
  const hypothesisLength = at(total, 2 * LONGEST_NGRAM);
  const closestLength = at(total, 2 * LONGEST_NGRAM + 1);
  if (total.subarray(0, LONGEST_NGRAM).every((matched) => matched === 0)) return 0;
  let smoothing = 1;
  let score = 0;
  for (let order = 0; order < LONGEST_NGRAM; order++) {
    const matched = at(total, order);
    const all = at(total, LONGEST_NGRAM + order);
    // Responses too short for any n-gram of this length: without "effective order" nothing is left.
    if (all === 0) return 0;
    if (matched === 0) smoothing *= 2;
    score += Math.log((100 * (matched === 0 ? 1 / smoothing : matched)) / all);
  }
  const brevity =
    hypothesisLength < closestLength ? Math.exp(1 - closestLength / hypothesisLength) : 1;
  return brevity * Math.exp(score / LONGEST_NGRAM);
}
