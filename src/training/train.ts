import { range } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { type Checkpoint, saveCheckpoint } from '../checkpoint/index.js';
import type { Dataset } from '../dataset/index.js';
import { Parameters } from '../model/index.js';
import type { Device } from '../runtime/index.js';
import { makeBatch } from './batch.js';
import { epochBatches } from './loader.js';
import { RunLog } from './log.js';
import { LossModel } from './loss-model.js';
import { Adam, type AdamOptions } from './optimizer.js';
import { LossSum, measurePerplexity, type Perplexity } from './perplexity.js';
import { learningRateAt, type ScheduleName } from './schedule.js';

/** How {@link train} trains; the names are those of the original's arguments. */
export interface TrainOptions {
  /** The folder that the checkpoint and the logs are written to. */
  readonly outputDir: string;
  /** The folder of `train_log.txt` and `eval_log.txt`; `outputDir`. */
  readonly logDir?: string;
  /** The number of optimizer steps. */
  readonly numOptimSteps: number;
  /** Examples in a batch. */
  readonly trainBatchSize: number;
  /** Batches whose gradients make one step. */
  readonly gradientAccumulationSteps?: number;
  readonly evalBatchSize?: number;
  readonly learningRate: number;
  readonly lrSchedule?: ScheduleName;
  readonly warmupSteps?: number;
  readonly warmupProportion?: number;
  /** Steps between validations, each of which also saves; none but at the end if not given. */
  readonly validStep?: number;
  /** The optimizer's settings, where they differ from the original's. */
  readonly adam?: AdamOptions;
  /** Whether token-type ids (the numbers of turns) are left out, as the original does. */
  readonly noTokenId?: boolean;
  readonly seed?: number;
  readonly device?: Device;
  readonly threads?: number;
  /** Whether to train in less memory and more time; see `LossModelOptions`. */
  readonly recompute?: boolean;
  /** Ends training after the step at hand, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onStep?: (report: StepReport) => void;
  readonly onValidation?: (report: ValidationReport) => void;
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
  /** The last validation, if there is held-out data. */
  readonly validation: ValidationReport | undefined;
}

/**
 * Trains a model: what the original's `LSP_train.py` does. The parameters of `checkpoint` are
 * changed in place; the checkpoint is saved at every validation and at the end.
 *
 * Unlike the original, a step's loss is the mean over all labels of all its batches, and the batch
 * size is not divided by the accumulation.
 *
 * @throws UserError if the dataset does not fit the model.
 */
export async function train(
  checkpoint: Checkpoint,
  dataset: Dataset,
  heldOut: Dataset | undefined,
  options: TrainOptions,
): Promise<TrainResult> {
  const { parameters } = checkpoint;
  const { config } = parameters;
  const { outputDir, numOptimSteps, trainBatchSize, seed = 42, signal } = options;
  const accumulation = options.gradientAccumulationSteps ?? 1;
  const tokenTypes = !(options.noTokenId ?? true);
  checkFit(checkpoint, dataset);

  const modelOptions = {
    tokenTypes,
    seed,
    ...(options.device === undefined ? {} : { device: options.device }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  };
  const recompute = options.recompute ?? false;
  await using model = await LossModel.forTraining(parameters, { ...modelOptions, recompute });
  await using evaluator = await LossModel.forEvaluation(parameters, modelOptions);
  await using log = await RunLog.open(options.logDir ?? outputDir);
  const gradients = new Parameters(config);
  const adam = new Adam(config, options.adam);
  const lengths = range(0, dataset.length).map((index) => dataset.inputLength(index));

  let validation: ValidationReport | undefined;
  const validate = async (step: number, epoch: number) => {
    await saveCheckpoint(outputDir, checkpoint);
    if (heldOut === undefined || heldOut.length === 0) return;
    const batchSize = options.evalBatchSize ?? trainBatchSize;
    validation = {
      step,
      ...(await measurePerplexity(evaluator, heldOut, { batchSize, tokenTypes })),
    };
    await log.validation(epoch, step, step * accumulation, validation);
    options.onValidation?.(validation);
  };

  let step = 0;
  let tokens = 0;
  let seconds = 0;
  for (let epoch = 1; step < numOptimSteps && !isAborted(signal); epoch++) {
    const batches = epochBatches(lengths, trainBatchSize, seed, epoch - 1);
    log.startEpoch();
    for (let first = 0; first < batches.length; first += accumulation) {
      const started = performance.now();
      const micro = batches.slice(first, first + accumulation).map((indices) =>
        makeBatch(
          indices.map((index) => dataset.example(index)),
          tokenTypes,
        ),
      );
      const labels = micro.reduce((total, batch) => total + batch.labels.length, 0);
      const losses = new LossSum();
      gradients.buffer.fill(0);
      for (const batch of micro) {
        const batchLosses = await model.backward(batch, 1 / labels, gradients);
        losses.add(batch, batchLosses);
        tokens += batch.tokens;
        log.batch(batch, batchLosses);
      }
      const learningRate = learningRateAt(options.lrSchedule ?? 'noam', step, {
        learningRate: options.learningRate,
        steps: numOptimSteps,
        warmupSteps: options.warmupSteps ?? 16000,
        warmupProportion: options.warmupProportion ?? 0.1,
        width: config.n_embd,
      });
      const { gradientNorm } = adam.step(parameters, gradients, learningRate);
      step += 1;
      seconds += (performance.now() - started) / 1000;

      const { loss } = losses.result;
      if (!Number.isFinite(loss)) {
        throw new UserError(
          `The loss became ${loss} at step ${step}; the model saved last is in ${outputDir}. Start again with a lower --learning-rate.`,
        );
      }
      await log.step(epoch, step, step * accumulation);
      options.onStep?.({
        step,
        steps: numOptimSteps,
        epoch,
        loss,
        learningRate,
        gradientNorm,
        tokens,
        seconds,
      });
      const last = step >= numOptimSteps || isAborted(signal);
      if (last || step % (options.validStep ?? Infinity) === 0) await validate(step, epoch);
      if (last) break;
    }
  }
  return { steps: step, interrupted: step < numOptimSteps, validation };
}

/** Read anew each time, because it changes while others run. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}

function checkFit({ parameters, tokenizer }: Checkpoint, dataset: Dataset): void {
  const { config } = parameters;
  const { endOfText } = dataset.description;
  if (endOfText !== tokenizer.endOfText) {
    throw new UserError(
      `The dataset was built with a vocabulary of ${endOfText + 1} tokens, but the model's has ${tokenizer.size}; build the dataset again with the model's tokenizer.`,
    );
  }
  for (let index = 0; index < dataset.length; index++) {
    const length = dataset.inputLength(index);
    if (length > config.n_positions) {
      throw new UserError(
        `Example ${index + 1} of the dataset has ${length} tokens, but the model reads ${config.n_positions} at most; build the dataset again with --max-seq-len ${config.n_positions}.`,
      );
    }
  }
}
