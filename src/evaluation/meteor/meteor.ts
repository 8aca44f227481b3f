import { at } from '../../base/arrays.js';
import { bestCounts, type Corpus, type Metric, scoreCorpus, type Scoring } from '../metric.js';
import { Pieces } from '../words.js';
import { align } from './align.js';
import { Lexicon, type MeteorWord } from './lexicon.js';
import { type Match, Matcher, STAGES } from './matches.js';
import type { MeteorResources } from './resources.js';

/** METEOR 1.5's English parameters for its default task, ranking (`Constants.java`). */
const ALPHA = 0.85;
const BETA = 0.2;
const GAMMA = 0.6;
const DELTA = 0.75;
const STAGE_WEIGHTS = [1.0, 0.6, 0.8, 0.6] as const;

// One instance's numbers, as METEOR's `-ssOut` prints them: the lengths, then four numbers for
// each stage (content words in the hypothesis and the reference, function words likewise), then
// chunks and matched words.
const HYPOTHESIS_LENGTH = 0;
const REFERENCE_LENGTH = 1;
const HYPOTHESIS_FUNCTION_WORDS = 2;
const REFERENCE_FUNCTION_WORDS = 3;
const FIRST_STAGE = 4;
const CHUNKS = FIRST_STAGE + 4 * STAGES.length;
const HYPOTHESIS_MATCHES = CHUNKS + 1;
const REFERENCE_MATCHES = CHUNKS + 2;
const STATISTICS = CHUNKS + 3;

/** Which stages METEOR has with these resources, as `exact+stem+synonym`. */
export function meteorStages(resources: MeteorResources): string {
  const has = {
    exact: true,
    stem: true,
    synonym: resources.synonyms,
    paraphrase: resources.paraphrases,
  };
  return STAGES.filter((stage) => has[stage]).join('+');
}

/** How METEOR's score follows from the counts of a corpus. */
export const METEOR_SCORING: Scoring = {
  name: 'METEOR',
  labels: ['METEOR'],
  score: (total) => [scoreOf(total)],
};

/**
 * METEOR 1.5 with `-l en -norm`: the reference that scores best counts, and the corpus score
 * follows from the summed counts. Its texts are remembered, so that several systems that share
 * references take little more time than one.
 */
export function meteorMetric(resources: MeteorResources, pieces = new Pieces()): Metric {
  const lexicon = new Lexicon(resources, pieces);
  return {
    ...METEOR_SCORING,
    statistics({ hypotheses, references }) {
      const hypothesisWords = hypotheses.map((text) => lexicon.words(text));
      const referenceWords = references.map(
        (texts) => new Set(texts.map((text) => lexicon.words(text))),
      );
      const matcher = new Matcher(lexicon, resources.paraphrases);
      return hypothesisWords.map((hypothesis, index) => {
        matcher.begin(hypothesis);
        const count = (reference: readonly MeteorWord[], counts: Float64Array): void => {
          const possible = matcher.match(reference);
          const matches = possible === undefined ? [] : align(possible);
          countMatches(hypothesis, reference, matches, counts);
        };
        return bestCounts(STATISTICS, at(referenceWords, index), count, scoreOf);
      });
    },
  };
}

/** The METEOR score of a corpus, from 0 to 1. */
export function meteor(corpus: Corpus, resources: MeteorResources): number {
  return at(scoreCorpus(meteorMetric(resources), corpus), 0);
}

/** Sets `counts` to the numbers of a pair of sentences. */
function countMatches(
  hypothesis: readonly MeteorWord[],
  reference: readonly MeteorWord[],
  matches: readonly Match[],
  counts: Float64Array,
): void {
  counts.fill(0);
  const add = (index: number, number: number): void => {
    counts[index] = (counts[index] ?? 0) + number;
  };
  counts[HYPOTHESIS_LENGTH] = hypothesis.length;
  counts[REFERENCE_LENGTH] = reference.length;
  counts[HYPOTHESIS_FUNCTION_WORDS] = countFunctionWords(hypothesis);
  counts[REFERENCE_FUNCTION_WORDS] = countFunctionWords(reference);
  for (const match of matches) {
    const stage = FIRST_STAGE + 4 * match.stage;
    for (let offset = 0; offset < match.hypothesisLength; offset++) {
      add(stage + (hypothesis[match.hypothesisStart + offset]?.isFunction === true ? 2 : 0), 1);
    }
    for (let offset = 0; offset < match.referenceLength; offset++) {
      add(stage + 1 + (reference[match.referenceStart + offset]?.isFunction === true ? 2 : 0), 1);
    }
    add(HYPOTHESIS_MATCHES, match.hypothesisLength);
    add(REFERENCE_MATCHES, match.referenceLength);
  }
  const chunks = countChunks(matches);
  // A perfect match is not broken into chunks at all: METEOR leaves it out of the sum.
  const perfect =
    chunks === 1 &&
    counts[HYPOTHESIS_MATCHES] === hypothesis.length &&
    counts[REFERENCE_MATCHES] === reference.length;
  counts[CHUNKS] = perfect ? 0 : chunks;
}

function countFunctionWords(words: readonly MeteorWord[]): number {
  let count = 0;
  for (const word of words) if (word.isFunction) count++;
  return count;
}

/** Runs of matches that are adjacent and in the same order in both sentences. */
function countChunks(matches: readonly Match[]): number {
  let chunks = 0;
  let previous: Match | undefined;
  for (const match of matches) {
    const continues =
      previous !== undefined &&
      previous.referenceStart + previous.referenceLength === match.referenceStart &&
      previous.hypothesisStart + previous.hypothesisLength === match.hypothesisStart;
    if (!continues) chunks++;
    previous = match;
  }
  return chunks;
}

/** METEOR's score of summed counts (`MeteorScorer.computeMetrics`). */
function scoreOf(counts: Float64Array): number {
  const weightedLength = (length: number, functionWords: number): number =>
    DELTA * (at(counts, length) - at(counts, functionWords)) +
    (1 - DELTA) * at(counts, functionWords);
  const weightedMatches = (side: number): number => {
    let total = 0;
    STAGE_WEIGHTS.forEach((weight, stage) => {
      total += at(counts, FIRST_STAGE + 4 * stage + side) * weight * DELTA;
    });
    STAGE_WEIGHTS.forEach((weight, stage) => {
      total += at(counts, FIRST_STAGE + 4 * stage + 2 + side) * weight * (1 - DELTA);
    });
    return total;
  };
  const precision =
    weightedMatches(0) / weightedLength(HYPOTHESIS_LENGTH, HYPOTHESIS_FUNCTION_WORDS);
  const recall = weightedMatches(1) / weightedLength(REFERENCE_LENGTH, REFERENCE_FUNCTION_WORDS);
  const mean = 1 / ((1 - ALPHA) / precision + ALPHA / recall);
  const words = (at(counts, HYPOTHESIS_MATCHES) + at(counts, REFERENCE_MATCHES)) / 2;
  const penalty = GAMMA * (at(counts, CHUNKS) / words) ** BETA;
  const score = mean * (1 - penalty);
  return Number.isNaN(score) ? 0 : Math.max(score, 0);
}
