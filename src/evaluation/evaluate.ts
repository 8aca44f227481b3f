import { at } from '../base/arrays.js';
import { chrfMetric } from './chrf.js';
import { ciderMetric } from './cider.js';
import { type Diversity, diversity } from './diversity.js';
import { meteorMetric, meteorStages } from './meteor/meteor.js';
import type { MeteorResources } from './meteor/resources.js';
import { addUp, checkCorpus, type Corpus, type Metric } from './metric.js';
import { mtevalMetric } from './mteval.js';
import { printed } from './numbers.js';
import { rougeLMetric } from './rouge.js';
import { sacreBleuMetric } from './sacrebleu.js';
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

/** All metrics, ready for several systems: what they share is split into words once. */
export class Evaluator {
  readonly #pieces = new Pieces();
  readonly #meteorStages: string;
  readonly #mteval = mtevalMetric(this.#pieces);
  readonly #meteor: Metric;
  readonly #sacreBleu = sacreBleuMetric(this.#pieces);
  readonly #rougeL = rougeLMetric(this.#pieces);
  readonly #cider = ciderMetric(this.#pieces);
  readonly #chrf = chrfMetric(this.#pieces);

  constructor(resources: MeteorResources) {
    this.#meteor = meteorMetric(resources, this.#pieces);
    this.#meteorStages = meteorStages(resources);
  }

  /** The metrics that compare with references. */
  get metrics(): readonly Metric[] {
    return [this.#mteval, this.#meteor, this.#sacreBleu, this.#rougeL, this.#cider, this.#chrf];
  }

  /** @throws UserError where the corpus is empty or an instance has no reference. */
  evaluate({ system, corpus }: SystemCorpus): Evaluation {
    checkCorpus(corpus);
    const score = (metric: Metric): number[] => metric.score(addUp(metric.statistics(corpus)));
    const one = (metric: Metric): number => at(score(metric), 0);
    const mteval = score(this.#mteval).map((number) => Number(printed(number, 4)));
    const { entropy, distinct, averageLength }: Diversity = diversity(
      corpus.hypotheses,
      this.#pieces,
    );
    return {
      system,
      instances: corpus.hypotheses.length,
      nist: mteval.slice(0, 4),
      bleu: mteval.slice(4),
      meteor: one(this.#meteor),
      meteorStages: this.#meteorStages,
      entropy,
      distinct,
      avgLength: averageLength,
      sacreBleu: one(this.#sacreBleu),
      rougeL: one(this.#rougeL),
      cider: one(this.#cider),
      chrf: one(this.#chrf),
    };
  }
}
