import type { Dataset } from '../dataset/index.js';
import type { LoraAdapter } from '../model/index.js';
import type { Communicator, Device } from '../runtime/index.js';
import type { AdamOptions } from './optimizer.js';
import type { Perplexity } from './perplexity.js';
import type { TrainingState } from './state.js';
import type { ScheduleName } from './schedule.js';

/** How `train` trains; the names are those of the original's arguments. */
export interface TrainOptions {
  /** The folder of the model, its checkpoints and, unless `logDir` is given, its logs. */
  readonly outputDir: string;
  /** The folder of `train_log.txt` and `eval_log.txt`; `outputDir`. */
  readonly logDir?: string;
  /** The number of optimizer steps. */
  readonly numOptimSteps: number;
  /** Examples in a batch. */
  readonly trainBatchSize: number;
  /** Batches of each process whose gradients make one step. */
  readonly gradientAccumulationSteps?: number;
  readonly evalBatchSize?: number;
  readonly learningRate: number;
  readonly lrSchedule?: ScheduleName;
  readonly warmupSteps?: number;
  readonly warmupProportion?: number;
  /** Steps between validations; none but at the end if not given. */
  readonly validStep?: number;
  /** Steps between checkpoints; `validStep`. */
  readonly saveSteps?: number;
  /** How many checkpoints are kept, the newest; 2. */
  readonly keep?: number;
  /** Validations in a row without a better held-out loss after which training ends; never. */
  readonly earlyStoppingPatience?: number;
  /** The optimizer's settings, where they differ from the original's. */
  readonly adam?: AdamOptions;
  /** Whether token-type ids (the numbers of turns) are left out, as the original does. */
  readonly noTokenId?: boolean;
  readonly seed?: number;
  readonly device?: Device;
  readonly threads?: number;
  /**
   * Whether to compute in half precision, with weights in single (mixed precision). Only a WebGPU
   * device does; all others compute in single precision.
   */
  readonly fp16?: boolean;
  /** The static scale of the loss in half precision; 0: dynamic. */
  readonly lossScale?: number;
  /** Whether to train in less memory and more time; see `LossModelOptions`. */
  readonly recompute?: boolean;
  /** Those that train together; this process trains alone unless given. Rank 0 writes. */
  readonly processes?: Communicator;
  /** The state to go on from; `checkpoint` is then the one that was saved with it. */
  readonly resume?: TrainingState;
  /** What is saved with each checkpoint, for the caller to repeat the command that made it. */
  readonly command?: Readonly<Record<string, string>>;
  /** Ends training after the step at hand, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onStep?: (report: StepReport) => void;
  /** Called after a validation, when what it found has been saved; training waits for what it returns. */
  readonly onValidation?: (report: ValidationReport) => unknown;
  /** Is told in one sentence what the person should know. */
  readonly onNotice?: (sentence: string) => void;
}

/** What is known after an optimizer step. */
export interface StepReport {
  /** Counted from 1. */
  readonly step: number;
  readonly steps: number;
  /** Counted from 1. */
  readonly epoch: number;
  /** The mean loss of a label in this step. */
  readonly loss: number;
  readonly learningRate: number;
  /** The norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** Tokens trained on since the start, without padding. */
  readonly tokens: number;
  /** Seconds since the start, validations not counted. */
  readonly seconds: number;
}

/** What is known after a validation. */
export interface ValidationReport extends Perplexity {
  readonly step: number;
}

/** How a training run ended. */
export interface TrainResult {
  /** Steps done. */
  readonly steps: number;
  /** Whether it was ended by the signal before its last step. */
  readonly interrupted: boolean;
  /** Whether the held-out loss had not become better for long enough. */
  readonly stoppedEarly: boolean;
  /** The last validation, if there is held-out data. */
  readonly validation: ValidationReport | undefined;
  /** The validation with the lowest loss, whose model is in the output folder. */
  readonly best: ValidationReport | undefined;
}

/** The parts of {@link TrainOptions} and the data that decide what every step computes. */
export interface ExactSettings {
  /** A fingerprint of the examples. */
  readonly data: string;
  readonly seed: number;
  readonly trainBatchSize: number;
  /** Batches of all processes whose gradients make one step. */
  readonly gradientAccumulationSteps: number;
  readonly noTokenId: boolean;
  readonly numOptimSteps: number;
  readonly learningRate: number;
  readonly lrSchedule: ScheduleName;
  readonly warmupSteps: number;
  readonly warmupProportion: number;
  readonly adam: string;
  readonly device: Device;
  readonly threads: number;
  readonly fp16: boolean;
  readonly lossScale: number;
}

/** The options with what is left out filled in. */
export function exactSettings(options: TrainOptions, dataset: Dataset): ExactSettings {
  return {
    data: fingerprint(dataset),
    seed: options.seed ?? 42,
    trainBatchSize: options.trainBatchSize,
    gradientAccumulationSteps:
      (options.gradientAccumulationSteps ?? 1) * (options.processes?.size ?? 1),
    noTokenId: options.noTokenId ?? true,
    numOptimSteps: options.numOptimSteps,
    learningRate: options.learningRate,
    lrSchedule: options.lrSchedule ?? 'noam',
    warmupSteps: options.warmupSteps ?? 16_000,
    warmupProportion: options.warmupProportion ?? 0.1,
    adam: JSON.stringify(options.adam ?? {}),
    device: options.device ?? 'cpu',
    threads: options.threads ?? 0,
    fp16: options.fp16 ?? false,
    lossScale: options.lossScale ?? 0,
  };
}

/** Whether weights, gradients and moments stay on the device from step to step. */
export function learnsOnDevice(
  { device, processes, recompute = false }: TrainOptions,
  adapter: LoraAdapter | undefined,
): boolean {
  const alone = (processes?.size ?? 1) === 1;
  return device === 'webgpu' && alone && !recompute && adapter === undefined;
}

/** What tells datasets apart: how many examples, and the lengths of all of them, in order. */
function fingerprint(dataset: Dataset): string {
  const { labels } = dataset.description.splits.train;
  let hash = 0;
  for (let index = 0; index < dataset.length; index++) {
    hash = (Math.imul(hash, 31) + dataset.inputLength(index)) | 0;
  }
  return `${dataset.length} examples, ${labels} labels, ${(hash >>> 0).toString(16)}`;
}
