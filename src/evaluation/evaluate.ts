import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { chrfMetric } from './chrf.js';
import { ciderMetric } from './cider.js';
import { diversity } from './diversity.js';
import { meteorBeside } from './meteor/beside.js';
import { METEOR_SCORING } from './meteor/meteor.js';
import { addUp, checkCorpus, type Corpus, type Metric, type Scoring } from './metric.js';
import { mtevalMetric } from './mteval.js';
import { LONGEST_NGRAM } from './ngrams.js';
import { printed } from './numbers.js';
import { rougeLMetric } from './rouge.js';
import { sacreBleuMetric } from './sacrebleu.js';
import { checkSameLength, compareStatistics, type SystemComparison } from './significance.js';
import { Pieces } from './words.js';

/** What all metrics say of one system. */
export interface Evaluation {
  readonly system: string;
  readonly instances: number;
  /** NIST with n-grams of up to 1, 2, 3 and 4 words, with the four decimals that mteval prints. */
  readonly nist: readonly number[];
  /** BLEU, likewise, from 0 to 1. */
  readonly bleu: readonly number[];
  /** From 0 to 1. */
  readonly meteor: number;
  /** Which of METEOR's matchers were used, as `exact+stem`. */
  readonly meteorStages: string;
  /** For n-grams of 1 to 4 words, in nats. */
  readonly entropy: readonly number[];
  /** For n-grams of 1 and 2 words, from 0 to 1. */
  readonly distinct: readonly number[];
  /** Words per response. */
  readonly avgLength: number;
  /** From 0 to 100. */
  readonly sacreBleu: number;
  /** From 0 to 1. */
  readonly rougeL: number;
  /** From 0 to 10. */
  readonly cider: number;
  /** From 0 to 100. */
  readonly chrf: number;
}

/** One system's texts, with its name. */
export interface SystemCorpus {
  readonly system: string;
  readonly corpus: Corpus;
}

/** What {@link evaluateSystems} needs besides the texts. */
export interface EvaluateOptions {
  /** The folder of METEOR's data; without it, METEOR matches exact words and stems only. */
  readonly meteorData?: string;
  /** Whether each system is compared with the first. */
  readonly significance?: boolean;
}

/** What all metrics say of several systems. */
export interface Evaluations {
  readonly evaluations: readonly Evaluation[];
  /** With {@link EvaluateOptions.significance}: how each system differs from the first. */
  readonly comparisons?: readonly SystemComparison[];
}

/** A metric's statistics of every system: a row for each instance. */
interface Measured {
  readonly scoring: Scoring;
  readonly rows: readonly (readonly Float64Array[])[];
}

/**
 * Scores systems by all metrics. METEOR takes as long as all the others together, so it runs in a
 * thread beside them.
 *
 * @throws UserError where there is no response, an instance has no reference, or METEOR's data is
 *   not there; with `significance`, where there is one system only or they differ in length.
 */
export async function evaluateSystems(
  systems: readonly SystemCorpus[],
  { meteorData, significance = false }: EvaluateOptions = {},
): Promise<Evaluations> {
  const corpora = systems.map(({ corpus }) => corpus);
  corpora.forEach(checkCorpus);
  if (significance) checkComparable(corpora);
  const [meteor, { mteval, diversities, ...others }] = await Promise.all([
    meteorBeside(corpora, meteorData),
    measureHere(corpora),
  ]);
  const measured = { mteval, meteor: { scoring: METEOR_SCORING, rows: meteor.rows }, ...others };
  return {
    evaluations: systems.map(({ system, corpus }, place): Evaluation => {
      const scoresBy = ({ scoring, rows }: Measured) => scoring.score(addUp(at(rows, place)));
      const scoreBy = (one: Measured) => at(scoresBy(one), 0);
      const nistAndBleu = scoresBy(mteval).map((number) => Number(printed(number, 4)));
      const { entropy, distinct, averageLength } = at(diversities, place);
      return {
        system,
        instances: corpus.hypotheses.length,
        nist: nistAndBleu.slice(0, LONGEST_NGRAM),
        bleu: nistAndBleu.slice(LONGEST_NGRAM),
        meteor: scoreBy(measured.meteor),
        meteorStages: meteor.stages,
        entropy,
        distinct,
        avgLength: averageLength,
        sacreBleu: scoreBy(others.sacreBleu),
        rougeL: scoreBy(others.rougeL),
        cider: scoreBy(others.cider),
        chrf: scoreBy(others.chrf),
      };
    }),
    ...(significance && { comparisons: compareAll(systems, Object.values(measured)) }),
  };
}

/** All metrics but METEOR; what they share is split into words once. */
async function measureHere(corpora: readonly Corpus[]) {
  const pieces = new Pieces();
  const measure = (metric: Metric): Measured => ({
    scoring: metric,
    rows: corpora.map((corpus) => metric.statistics(corpus)),
  });
  return Promise.resolve({
    mteval: measure(mtevalMetric(pieces)),
    sacreBleu: measure(sacreBleuMetric(pieces)),
    rougeL: measure(rougeLMetric(pieces)),
    cider: measure(ciderMetric(pieces)),
    chrf: measure(chrfMetric(pieces)),
    diversities: corpora.map(({ hypotheses }) => diversity(hypotheses, pieces)),
  });
}

function checkComparable([first, ...others]: readonly Corpus[]): void {
  if (first === undefined || others.length === 0) {
    throw new UserError('There is one system only; name two or more to compare them.');
  }
  for (const other of others) checkSameLength(first, other);
}

/** How each system differs from the first, by each metric. */
function compareAll(
  systems: readonly SystemCorpus[],
  measured: readonly Measured[],
): SystemComparison[] {
  return systems.slice(1).map(({ system }, place) => ({
    first: at(systems, 0).system,
    second: system,
    comparisons: measured.flatMap(({ scoring, rows }) =>
      compareStatistics(scoring, at(rows, 0), at(rows, place + 1)),
    ),
  }));
}
