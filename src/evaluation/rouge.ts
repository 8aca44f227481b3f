import { at } from '../base/arrays.js';
import { type Corpus, type Metric, scoreCorpus } from './metric.js';
import { Pieces } from './words.js';

/** How much more recall counts than precision. */
const BETA = 1.2;

/**
 * ROUGE-L as the original's copy of the COCO caption tools computes it (pycocoevalcap/rouge): the
 * longest common subsequence with each reference, the best precision and the best recall over all
 * references, their F-measure, averaged over instances. Words are what stands between single
 * spaces, so that an empty line has one, empty, word.
 */
export function rougeLMetric(pieces = new Pieces()): Metric {
  return {
    name: 'ROUGE-L',
    labels: ['ROUGE-L'],
    statistics({ hypotheses, references }) {
      return hypotheses.map((hypothesis, index) => {
        const candidate = pieces.of(hypothesis);
        let precision = 0;
        let recall = 0;
        for (const reference of new Set(at(references, index))) {
          const other = pieces.of(reference);
          const common = commonSubsequence(candidate, other);
          precision = Math.max(precision, common / candidate.length);
          recall = Math.max(recall, common / other.length);
        }
        const score =
          precision === 0 || recall === 0
            ? 0
            : ((1 + BETA ** 2) * precision * recall) / (recall + BETA ** 2 * precision);
        return Float64Array.of(score, 1);
      });
    },
    score: (total) => [at(total, 0) / at(total, 1)],
  };
}

/** ROUGE-L of a corpus, from 0 to 1. */
export function rougeL(corpus: Corpus): number {
  return at(scoreCorpus(rougeLMetric(), corpus), 0);
}

let row = new Int32Array(64);

/** The length of the longest common subsequence. */
function commonSubsequence(a: readonly number[], b: readonly number[]): number {
  if (row.length <= b.length) row = new Int32Array(2 * b.length);
  row.fill(0, 0, b.length + 1);
  for (const word of a) {
    let diagonal = 0;
    let left = 0;
    for (let index = 0; index < b.length; index++) {
      const above = row[index + 1] ?? 0;
      left = b[index] === word ? diagonal + 1 : Math.max(above, left);
      row[index + 1] = left;
      diagonal = above;
    }
  }
  return row[b.length] ?? 0;
}
