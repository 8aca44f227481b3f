import type { TrainOptions } from '../training/index.js';
import { defined, UsageError } from './arguments.js';
import type { TrainFlags } from './train-flags.js';

/** What holds under the original's names: its own defaults (`LSP_train.py`). */
const ORIGINAL = {
  maxSeqLength: 128,
  trainBatchSize: 4,
  evalBatchSize: 4,
  gradientAccumulationSteps: 2,
  learningRate: 1e-5,
  lrSchedule: 'noam',
  warmupSteps: 16_000,
  warmupProportion: 0.1,
  normalizeData: true,
  validation: 0,
  seed: 42,
  earlyStoppingPatience: 0,
  sampleReplies: 0,
} as const;

/** What holds with `--data`: what suits a few hundred to a few hundred thousand conversations. */
const OWN = {
  ...ORIGINAL,
  trainBatchSize: 8,
  evalBatchSize: 8,
  gradientAccumulationSteps: 1,
  learningRate: 5e-5,
  lrSchedule: 'cosine',
  validation: 0.05,
  earlyStoppingPatience: 3,
  sampleReplies: 3,
} as const;

/** The learning rate of a fresh model where nothing is said. */
const FRESH_LEARNING_RATE = 5e-4;
/** That of an adapter. */
const LORA_LEARNING_RATE = 3e-4;
const ORIGINAL_STEPS = 1_000_000;
const ORIGINAL_VALID_STEP = 10_000;
const OWN_EPOCHS = 3;
const VALIDATIONS_IN_EPOCH = 2;

/** The value of a setting that has two names. */
export function either(
  flags: TrainFlags,
  own: 'data' | 'out' | 'model',
  original: 'trainInputFile' | 'outputDir' | 'modelNameOrPath',
): string | undefined {
  if (flags[own] !== undefined && flags[original] !== undefined) {
    const long = original.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new UsageError(`--${own} and --${long} are two names of one thing; give one of them.`);
  }
  return flags[own] ?? flags[original];
}

/**
 * The settings of the data and the loop, with the defaults that hold.
 *
 * @param start whether weights are fresh, or the learning rate of the run that is continued
 */
export function completeSettings(
  flags: TrainFlags,
  start: { readonly fresh?: boolean; readonly learningRate?: number },
): TrainSettings {
  const original = flags.trainInputFile !== undefined;
  const own = start.fresh === true ? FRESH_LEARNING_RATE : flags.loraRank && LORA_LEARNING_RATE;
  const { learningRate = original ? undefined : own } = start;
  return {
    ...(original ? ORIGINAL : OWN),
    ...defined({ learningRate }),
    ...defined(flags),
    tokenId: flags.tokenId,
    original,
  };
}

/** Flags that have a value whether given or not. */
type Defaulted = keyof typeof ORIGINAL;

/** What {@link completeSettings} gives. */
export type TrainSettings = Omit<TrainFlags, Defaulted> &
  Required<Pick<TrainFlags, Defaulted>> & {
    /** Whether the original's defaults hold. */
    readonly original: boolean;
  };

/** The settings as the library takes them, less what comes from elsewhere. */
export function trainOptions(
  settings: TrainSettings,
  examples: number,
  processes = 1,
): Omit<TrainOptions, 'outputDir'> {
  const { trainBatchSize, gradientAccumulationSteps, original } = settings;
  const batches = Math.ceil(examples / trainBatchSize);
  const stepsOfEpoch = Math.ceil(batches / (gradientAccumulationSteps * processes));
  const epochs = settings.numTrainEpochs ?? (original ? undefined : OWN_EPOCHS);
  const steps = epochs === undefined ? ORIGINAL_STEPS : Math.ceil(epochs * stepsOfEpoch);
  return {
    ...defined({
      logDir: settings.logDir,
      threads: settings.threads,
      recompute: settings.recompute,
      saveSteps: settings.saveSteps,
      keep: settings.keep,
      device: settings.device,
      lossScale: settings.lossScale,
      earlyStoppingPatience: settings.earlyStoppingPatience || undefined,
    }),
    numOptimSteps: settings.numOptimSteps ?? steps,
    trainBatchSize,
    gradientAccumulationSteps,
    evalBatchSize: settings.evalBatchSize,
    learningRate: settings.learningRate,
    lrSchedule: settings.lrSchedule,
    warmupSteps: settings.warmupSteps,
    warmupProportion: settings.warmupProportion,
    validStep:
      settings.validStep ??
      (original ? ORIGINAL_VALID_STEP : Math.ceil(stepsOfEpoch / VALIDATIONS_IN_EPOCH)),
    adam: {
      // Without half precision, the original takes an optimizer of its own (lsp_model/optim.py).
      ...(settings.fp16 === false ? { clipping: 'tensor', epsilon: 1e-6 } : {}),
      ...defined({
        beta1: settings.adamBeta1,
        beta2: settings.adamBeta2,
        epsilon: settings.adamEpsilon,
        weightDecay: settings.weightDecay,
        maxGradientNorm: settings.maxGradNorm,
      }),
    },
    // The flag is the original's `no_token_id`; the parser takes its `no` for a prefix.
    noTokenId: settings.tokenId,
    seed: settings.seed,
  };
}
