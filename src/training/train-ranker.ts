import { at, range, sum } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { Random } from '../base/random.js';
import { type RankerCheckpoint, saveCheckpoint } from '../checkpoint/index.js';
import type { SessionOptions } from '../runtime/index.js';
import { moveWeights, sumOfSquares } from './optimizer-kernel.js';
import { RankingModel, type RankingWeights } from './ranking-model.js';
import type { RankingPair } from './ranking-pairs.js';
import {
  compareRankerSettings,
  emptyWeights,
  fingerprint,
  openRankerRun,
  type RankerMoments,
  type RankerProgress,
  saveRankerRun,
} from './ranker-state.js';
import { checkpointSteps } from './checkpoints.js';

/** The most tokens that go through the model at once; larger batches are cut into several. */
const TOKENS_AT_ONCE = 8192;

/** How {@link trainRanker} trains; unless given, as DialogRPT's main.py and master.py. */
export interface TrainRankerOptions extends SessionOptions {
  /** Where the best ranker is saved, and beside it, in `checkpoint-STEP`, where the run stands. */
  readonly outputDir: string;
  /** Optimizer steps. */
  readonly steps: number;
  /** Pairs in a step; 256. */
  readonly batchSize?: number;
  /** 3e-5. */
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
  readonly onStep?: (report: RankerStep) => void;
  readonly onValidation?: (report: RankerValidation) => void;
}

/** What is known after a step. */
export interface RankerStep {
  /** Counted from 1. */
  readonly step: number;
  readonly steps: number;
  /** The mean loss of the step's pairs. */
  readonly loss: number;
  /** The share of the step's pairs whose better response got the higher score. */
  readonly accuracy: number;
  /** The norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** Pairs trained on since the start. */
  readonly pairs: number;
  /** Seconds since the start, validations not counted. */
  readonly seconds: number;
}

/** What pairs that are not trained on say. */
export interface RankerValidation {
  /** 0 is before training. */
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
  /** Whether this is the best so far, and was saved. */
  readonly best: boolean;
}

/** How a training run ended. */
export interface TrainRankerResult {
  readonly steps: number;
  readonly interrupted: boolean;
  /** The best validation after a step; undefined if there are no pairs to validate with. */
  readonly best: RankerValidation | undefined;
}

/**
 * Trains a ranker on pairs of responses as DialogRPT's `Master.train` does: its pairwise loss,
 * PyTorch's Adam, gradients clipped by their common norm. The checkpoint's weights are changed in
 * place; the best by validation accuracy are saved (without held-out pairs, the last).
 *
 * Unlike DialogRPT, which reads a shuffled file from its start, pairs are shuffled each epoch.
 *
 * @throws UserError if there is nothing to train on, a sequence is too long for the model, or
 *   `outputDir` holds a run that is not to be continued, or cannot be with these settings.
 */
export async function trainRanker(
  checkpoint: RankerCheckpoint,
  pairs: readonly RankingPair[],
  heldOut: readonly RankingPair[],
  options: TrainRankerOptions,
): Promise<TrainRankerResult> {
  const { outputDir, steps, signal, seed = 42 } = options;
  const { batchSize = 256, learningRate = 3e-5, maxGradientNorm = 1, validStep = 100 } = options;
  const weights: RankingWeights = checkpoint;
  checkPairs(checkpoint, pairs, 'train on');
  if (heldOut.length > 0) checkPairs(checkpoint, heldOut, 'validate with');
  const session: SessionOptions = {
    ...(options.device === undefined ? {} : { device: options.device }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  };
  const settings = {
    data: await fingerprint(pairs, heldOut),
    seed,
    batchSize,
    learningRate,
    maxGradientNorm,
  };
  const past = await pastOf(weights, options);
  if (past !== undefined) {
    const notices = compareRankerSettings(past.progress.settings, settings);
    for (const notice of notices) options.onNotice?.(notice);
  }
  let { step, seconds, best }: Standing = past?.progress ?? { step: 0, seconds: 0 };
  await using model = await RankingModel.create(weights, true, {
    ...session,
    seed,
    draws: past?.progress.draws ?? 0,
  });
  await using evaluator = await RankingModel.create(weights, false, session);
  const adam = new RankerAdam(
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
    const isBest = step > 0 && (best === undefined || measured.accuracy > best.accuracy);
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
    await saveRankerRun(outputDir, checkpoint, adam.moments, { ...standing, settings });
    saved = step;
  };
  if (step === 0) await validate(0);

  const order = endlessOrder(pairs.length, seed, step * batchSize);
  while (step < steps && !isAborted(signal)) {
    const started = performance.now();
    const batch = range(0, batchSize).map(() => at(pairs, order.next().value));
    gradients.parameters.buffer.fill(0);
    gradients.score.fill(0);
    const losses: number[] = [];
    for (const part of cutByTokens(batch)) {
      losses.push(...(await model.backward(part, 1 / batchSize, gradients)));
    }
    const gradientNorm = adam.step(weights, gradients, learningRate, maxGradientNorm);
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
    // The ranker comes before the checkpoint: whoever goes on from an older one writes it again.
    if (validates || isAborted(signal)) await save();
  }
  return { steps: step, interrupted: step < steps, best };
}

/** Where a run stands that has begun, or has not. */
type Standing = Pick<RankerProgress, 'step' | 'seconds' | 'best'>;

/** The run to go on with; undefined for a new one. */
async function pastOf(
  weights: RankingWeights,
  { outputDir, resume = false, onNotice }: TrainRankerOptions,
): ReturnType<typeof openRankerRun> {
  if (resume) return openRankerRun(outputDir, weights, onNotice);
  if ((await checkpointSteps(outputDir)).length === 0) return undefined;
  throw new UserError(
    `${outputDir}: it holds a run already; go on with --resume, or choose another --out.`,
  );
}

/** The mean loss of pairs, and the share of them that a model ranks rightly. */
export async function measurePairs(
  model: RankingModel,
  pairs: readonly RankingPair[],
): Promise<{ readonly loss: number; readonly accuracy: number }> {
  const losses: number[] = [];
  for (const part of cutByTokens(pairs)) losses.push(...(await model.losses(part)));
  return summarize(losses);
}

function summarize(losses: readonly number[]): { loss: number; accuracy: number } {
  // A loss below ln 2 is a probability above one half.
  const right = losses.filter((loss) => loss < Math.LN2).length;
  return { loss: sum(losses) / losses.length, accuracy: right / losses.length };
}

/**
 * A language model as a ranker to be trained: the head starts as the end of text's row of the
 * output layer, as DialogRPT's `Scorer.load` has it.
 */
export function rankerFromLanguageModel(
  checkpoint: Omit<RankerCheckpoint, 'score'>,
): RankerCheckpoint {
  const { parameters, tokenizer } = checkpoint;
  const width = parameters.config.n_embd;
  const embedding = parameters.view(at(parameters.layout, 0));
  const start = tokenizer.endOfText * width;
  return { ...checkpoint, score: embedding.slice(start, start + width) };
}

/** PyTorch's Adam with its defaults (Kingma and Ba 2015), and `clip_grad_norm_` over everything. */
class RankerAdam {
  readonly moments: RankerMoments;
  #steps: number;

  /** @param steps how many have been made before */
  constructor(moments: RankerMoments, steps: number) {
    this.moments = moments;
    this.#steps = steps;
  }

  /** @returns the gradient's norm before clipping */
  step(
    weights: RankingWeights,
    gradients: RankingWeights,
    learningRate: number,
    maxNorm: number,
  ): number {
    this.#steps += 1;
    const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
    const norm = Math.sqrt(
      sumOfSquares(gradients.parameters.buffer) + sumOfSquares(gradients.score),
    );
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
    moveWeights(
      weights.parameters.buffer,
      gradients.parameters.buffer,
      this.moments.first.parameters.buffer,
      this.moments.second.parameters.buffer,
      numbers,
    );
    const { score } = weights;
    const { first: mean, second: square } = this.moments;
    moveWeights(score, gradients.score, mean.score, square.score, numbers);
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

function cutByTokens(pairs: readonly RankingPair[]): RankingPair[][] {
  const parts: RankingPair[][] = [];
  let tokens = Infinity;
  for (const pair of pairs) {
    const length = pair.better.length + pair.worse.length;
    tokens += length;
    if (tokens > TOKENS_AT_ONCE) {
      parts.push([]);
      tokens = length;
    }
    parts.at(-1)?.push(pair);
  }
  return parts;
}

function checkPairs(
  { parameters }: RankerCheckpoint,
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
