import { at, range, sum } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { Random } from '../base/random.js';
import { type Checkpoint, type RankerCheckpoint, saveCheckpoint } from '../checkpoint/index.js';
import type { SessionOptions } from '../runtime/index.js';
import { checkpointSteps } from './checkpoints.js';
import { moveWeights, sumOfSquares } from './optimizer-kernel.js';
import {
  buffersOf,
  cutByTokens,
  emptyWeights,
  type PairModel,
  type PairWeights,
} from './pair-model.js';
import {
  comparePairSettings,
  fingerprint,
  openPairRun,
  type PairMoments,
  type PairProgress,
  readPairSettings,
  savePairRun,
} from './pair-state.js';
import type { RankingPair } from './ranking-pairs.js';

/** How training on pairs of responses goes. */
export interface TrainPairsOptions extends SessionOptions {
  /** Where the best model is saved, and beside it, in `checkpoint-STEP`, where the run stands. */
  readonly outputDir: string;
  /** Optimizer steps. */
  readonly steps: number;
  /** Pairs in a step; 256 for rankers, 64 for preferences. */
  readonly batchSize?: number;
  /** 3e-5 for rankers, 5e-5 (the highest) for preferences. */
  readonly learningRate?: number;
  /** Longer gradients are scaled down to this norm; 1. */
  readonly maxGradientNorm?: number;
  /** Steps between validations; 100. */
  readonly validStep?: number;
  readonly seed?: number;
  /**
   * Whether to go on where the run in `outputDir` stood at its last validation or interruption, as
   * if it had never stopped: bit for bit, on one thread. The weights are then those of that run.
   */
  readonly resume?: boolean;
  /** Ends training after the step at hand, and saves where it stands. */
  readonly signal?: AbortSignal;
  /** Is told of what makes a continued run another one, and of damaged checkpoints. */
  readonly onNotice?: (sentence: string) => void;
  readonly onStep?: (report: PairStep) => void;
  readonly onValidation?: (report: PairValidation) => void;
}

/** What is known after a step. */
export interface PairStep {
  /** Counted from 1. */
  readonly step: number;
  readonly steps: number;
  /** The mean loss of the step's pairs. */
  readonly loss: number;
  /** The share of the step's pairs whose better response is ahead. */
  readonly accuracy: number;
  /** The norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** Pairs trained on since the start. */
  readonly pairs: number;
  /** Seconds since the start, validations not counted. */
  readonly seconds: number;
}

/** What pairs that are not trained on say. */
export interface PairValidation {
  /** 0 is before training. */
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
  /** Whether this is the best so far, and was saved. */
  readonly best: boolean;
}

/** How a training run ended. */
export interface TrainPairsResult {
  readonly steps: number;
  readonly interrupted: boolean;
  /** The best validation after a step; undefined if there are no pairs to validate with. */
  readonly best: PairValidation | undefined;
}

/** What is trained on pairs, and how. */
export interface PairLearner {
  readonly checkpoint: Checkpoint | RankerCheckpoint;
  /**
   * Makes the model that computes losses, or gradients too.
   *
   * @param draws how many batches dropout masks have been drawn for before
   */
  readonly create: (gradients: boolean, draws: number) => Promise<PairModel>;
  /**
   * Finds out what must be known of the weights as they are, before a run that is gone on with brings
   * its own.
   *
   * @returns false if the signal ended it
   */
  readonly measure?: () => Promise<boolean>;
  readonly batchSize: number;
  readonly learningRate: number;
  /** What the learning rate of a step, counted from 0, is multiplied by. */
  readonly schedule: (step: number) => number;
  /** Whether a validation is better than the best before. */
  readonly isBetter: (now: PairMeasure, best: PairMeasure) => boolean;
  /** What the loss is, where it is not a ranker's. */
  readonly preferences?: NonNullable<PairProgress['settings']['preferences']>;
}

/** What pairs say of a model. */
export type PairMeasure = Pick<PairValidation, 'loss' | 'accuracy'>;

/**
 * Trains on pairs of responses with PyTorch's Adam, gradients clipped by their common norm. The
 * checkpoint's weights are changed in place; the best by validation are saved (without held-out
 * pairs, the last). Pairs are shuffled each epoch.
 *
 * @throws UserError if there is nothing to train on, a sequence is too long for the model, or
 *   `outputDir` holds a run that is not to be continued, or cannot be with these settings.
 */
export async function trainPairs(
  learner: PairLearner,
  pairs: readonly RankingPair[],
  heldOut: readonly RankingPair[],
  options: TrainPairsOptions,
): Promise<TrainPairsResult> {
  const { checkpoint, batchSize, learningRate, preferences } = learner;
  const { outputDir, steps, signal, seed = 42, maxGradientNorm = 1, validStep = 100 } = options;
  const weights: PairWeights = checkpoint;
  checkPairs(checkpoint, pairs, 'train on');
  if (heldOut.length > 0) checkPairs(checkpoint, heldOut, 'validate with');
  const settings = {
    data: await fingerprint(pairs, heldOut),
    seed,
    batchSize,
    learningRate,
    maxGradientNorm,
    ...(preferences === undefined ? {} : { preferences }),
  };
  const begun = await begunSteps(options);
  // Before anything is measured, which can take minutes.
  const before = begun === 0 ? undefined : await readPairSettings(outputDir, weights);
  if (before !== undefined) {
    for (const notice of comparePairSettings(before, settings)) options.onNotice?.(notice);
  }
  if ((await learner.measure?.()) === false) {
    return { steps: begun, interrupted: true, best: undefined };
  }
  const past =
    options.resume === true ? await openPairRun(outputDir, weights, options.onNotice) : undefined;
  let { step, seconds, best }: Standing = past?.progress ?? { step: 0, seconds: 0 };
  await using model = await learner.create(true, past?.progress.draws ?? 0);
  await using evaluator = await learner.create(false, 0);
  const adam = new PairAdam(
    past?.moments ?? { first: emptyWeights(weights), second: emptyWeights(weights) },
    step,
  );
  const gradients = emptyWeights(weights);
  let saved = past?.progress.step;

  const validate = async (step: number) => {
    if (heldOut.length === 0) {
      if (step > 0) await saveCheckpoint(outputDir, checkpoint);
      return;
    }
    const measured = await measurePairs(evaluator, heldOut);
    const isBest = step > 0 && (best === undefined || learner.isBetter(measured, best));
    const report = { step, ...measured, best: isBest };
    if (isBest) {
      best = report;
      await saveCheckpoint(outputDir, checkpoint);
    }
    options.onValidation?.(report);
  };
  const save = async () => {
    if (saved === step) return;
    const { draws } = model;
    const standing = { step, seconds, draws, ...(best === undefined ? {} : { best }) };
    await savePairRun(outputDir, checkpoint, adam.moments, { ...standing, settings });
    saved = step;
  };
  if (step === 0) await validate(0);

  const order = endlessOrder(pairs.length, seed, step * batchSize);
  while (step < steps && !isAborted(signal)) {
    const started = performance.now();
    const batch = range(0, batchSize).map(() => at(pairs, order.next().value));
    for (const buffer of buffersOf(gradients)) buffer.fill(0);
    const losses: number[] = [];
    for (const part of cutByTokens(batch, model.tokensAtOnce)) {
      losses.push(...(await model.backward(part, 1 / batchSize, gradients)));
    }
    const rate = learningRate * learner.schedule(step);
    const gradientNorm = adam.step(weights, gradients, rate, maxGradientNorm);
    step += 1;
    seconds += (performance.now() - started) / 1000;
    const { loss, accuracy } = summarize(losses);
    if (!Number.isFinite(loss)) {
      throw new UserError(
        `The loss became ${loss} at step ${step}; start again with a lower learning rate.`,
      );
    }
    options.onStep?.({
      step,
      steps,
      loss,
      accuracy,
      gradientNorm,
      pairs: step * batchSize,
      seconds,
    });
    const validates = step >= steps || step % validStep === 0;
    if (validates) await validate(step);
    // The model comes before the checkpoint: whoever goes on from an older one writes it again.
    if (validates || isAborted(signal)) await save();
  }
  return { steps: step, interrupted: step < steps, best };
}

/** Where sessions run, of options that say more. */
export function sessionOptions({ device, threads }: SessionOptions): SessionOptions {
  return {
    ...(device === undefined ? {} : { device }),
    ...(threads === undefined ? {} : { threads }),
  };
}

/** Where a run stands that has begun, or has not. */
type Standing = Pick<PairProgress, 'step' | 'seconds' | 'best'>;

/**
 * How many steps the run to go on with has made; 0 for a new one.
 *
 * @throws UserError if there is a run that is not to be gone on with.
 */
async function begunSteps({ outputDir, resume = false }: TrainPairsOptions): Promise<number> {
  const steps = await checkpointSteps(outputDir);
  if (resume || steps.length === 0) return steps[0] ?? 0;
  throw new UserError(
    `${outputDir}: it holds a run already; go on with --resume, or choose another --out.`,
  );
}

/** The mean loss of pairs, and the share of them whose better response is ahead. */
export async function measurePairs(
  model: PairModel,
  pairs: readonly RankingPair[],
): Promise<PairMeasure> {
  const losses: number[] = [];
  for (const part of cutByTokens(pairs, model.tokensAtOnce))
    losses.push(...(await model.losses(part)));
  return summarize(losses);
}

function summarize(losses: readonly number[]): PairMeasure {
  // A loss below ln 2 is a probability above one half.
  const right = losses.filter((loss) => loss < Math.LN2).length;
  return { loss: sum(losses) / losses.length, accuracy: right / losses.length };
}

/** PyTorch's Adam with its defaults (Kingma and Ba 2015), and `clip_grad_norm_` over everything. */
class PairAdam {
  readonly moments: PairMoments;
  #steps: number;

  /** @param steps how many have been made before */
  constructor(moments: PairMoments, steps: number) {
    this.moments = moments;
    this.#steps = steps;
  }

  /** @returns the gradient's norm before clipping */
  step(
    weights: PairWeights,
    gradients: PairWeights,
    learningRate: number,
    maxNorm: number,
  ): number {
    this.#steps += 1;
    const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
    const slopes = buffersOf(gradients);
    const norm = Math.sqrt(sum(slopes.map(sumOfSquares)));
    // The moments' corrections, taken out of the quotient m / (√v + ε).
    const first = 1 - beta1 ** this.#steps;
    const second = Math.sqrt(1 - beta2 ** this.#steps);
    const numbers = {
      beta1,
      beta2,
      decay: 0,
      rate: (learningRate * second) / first,
      epsilon: epsilon * second,
      scale: Math.min(1, maxNorm / (norm + 1e-6)),
    };
    const [means, squares] = [buffersOf(this.moments.first), buffersOf(this.moments.second)];
    for (const [index, buffer] of buffersOf(weights).entries()) {
      moveWeights(buffer, at(slopes, index), at(means, index), at(squares, index), numbers);
    }
    return norm;
  }
}

/**
 * Numbers below `count` in an order that is shuffled anew each time all have been there.
 *
 * @param start how many have come before
 */
function* endlessOrder(
  count: number,
  seed: number,
  start: number,
): Generator<number, never, undefined> {
  let skipped = start % count;
  for (let epoch = Math.floor(start / count); ; epoch++) {
    yield* new Random(seed + epoch * 2 ** 32).shuffle(range(0, count)).slice(skipped);
    skipped = 0;
  }
}

function checkPairs(
  { parameters }: PairWeights,
  pairs: readonly RankingPair[],
  purpose: string,
): void {
  if (pairs.length === 0) {
    throw new UserError(`There are no pairs of responses to ${purpose}; check the data and gaps.`);
  }
  const { n_positions } = parameters.config;
  const longest = pairs.reduce(
    (most, { better, worse }) => Math.max(most, better.length, worse.length),
    0,
  );
  if (longest > n_positions) {
    throw new UserError(
      `A sequence has ${longest} tokens, but the model reads ${n_positions} at most; read the pairs with a lower longest sequence.`,
    );
  }
}

/** Read anew each time, because it changes while others run. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}
