import { at, range, sum } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { type Checkpoint, saveCheckpoint } from '../checkpoint/index.js';
import type { Dataset } from '../dataset/index.js';
import { ALONE, type Communicator } from '../runtime/index.js';
import { type Batch, makeBatch } from './batch.js';
import { checkFit } from './check-fit.js';
import { checkpointFolder, checkpointSteps, writeCheckpoint } from './checkpoints.js';
import { DeviceLearner } from './device-learner.js';
import { HostLearner } from './host-learner.js';
import type { Learner, UpdateReport } from './learner.js';
import { epochBatches } from './loader.js';
import { RunLog } from './log.js';
import {
  exactSettings,
  type ExactSettings,
  learnsOnDevice,
  type TrainOptions,
  type TrainResult,
} from './options.js';
import { LossSum, measurePerplexity, type Perplexity } from './perplexity.js';
import { compareSettings } from './resume.js';
import { learningRateAt } from './schedule.js';
import type { Progress } from './state.js';

/** The numbers that processes tell each other of a batch: its losses, its tokens with and without padding. */
const BATCH_FACTS = LossSum.SIZE + 2;

/**
 * Trains a model: what the original's `LSP_train.py` does. The parameters of `checkpoint`, or its
 * adapter if it has one, are changed in place. The output folder holds the model of the best validation (the newest where
 * nothing is held out), and `checkpoint-STEP` folders from which a run goes on exactly.
 *
 * Unlike the original, a step's loss is the mean over all labels of all its batches, and the batch
 * size is not divided by the accumulation.
 *
 * @throws UserError if the dataset does not fit the model, or the output folder holds another run.
 */
export async function train(
  checkpoint: Checkpoint,
  dataset: Dataset,
  heldOut: Dataset | undefined,
  options: TrainOptions,
): Promise<TrainResult> {
  const { outputDir, resume, onNotice } = options;
  const onDevice = learnsOnDevice(options, checkpoint.adapter);
  if (options.fp16 === true && options.device === 'webgpu' && !onDevice) {
    onNotice?.(
      '--fp16: with several processes, --recompute or an adapter, a GPU trains in fp32 too.',
    );
  }
  const fp16 = onDevice && (options.fp16 ?? false);
  const settings = exactSettings({ ...options, fp16 }, dataset);
  checkFit(checkpoint, dataset);
  if (heldOut?.length === 0) {
    onNotice?.(
      'Nothing is held out, so there are no validation, early stopping and sample replies; name conversations with --eval-input-file, or hold out a larger share with --validation.',
    );
  }
  if (resume !== undefined) {
    for (const notice of compareSettings(resume.settings, settings)) onNotice?.(notice);
  } else if ((await checkpointSteps(outputDir)).length > 0) {
    throw new UserError(
      `${outputDir}: it holds a run already; go on with --continue-from ${outputDir}, or choose another --out.`,
    );
  }
  const { processes = ALONE } = options;
  await using log =
    processes.rank === 0
      ? await RunLog.open(options.logDir ?? outputDir, resume?.progress.step)
      : RunLog.silent();
  if (processes.rank === 0 && resume !== undefined && isBest(resume.progress)) {
    // The run may have had a better one later, on the course that is left now.
    await saveCheckpoint(outputDir, checkpoint);
  }
  // All have the same already, unless their files or libraries differ.
  await processes.broadcast(checkpoint.parameters.buffer);
  if (checkpoint.adapter !== undefined) await processes.broadcast(checkpoint.adapter.buffer);
  await using learner = await createLearner(checkpoint, settings, options, onDevice);
  const data = heldOut === undefined || heldOut.length === 0 ? undefined : heldOut;
  const parts = {
    checkpoint,
    dataset,
    heldOut: data,
    options,
    settings,
    learner,
    log,
    processes,
  };
  return await new Run(parts).result();
}

interface RunParts {
  readonly checkpoint: Checkpoint;
  readonly dataset: Dataset;
  readonly heldOut: Dataset | undefined;
  readonly options: TrainOptions;
  readonly settings: ExactSettings;
  readonly learner: Learner;
  readonly log: RunLog;
  readonly processes: Communicator;
}

/** A training run under way. */
class Run {
  readonly #parts: RunParts;
  readonly #progress: Progress;
  /** The step of the newest checkpoint. */
  #saved: number | undefined;
  /** Whether a process was told to stop, once all know of it. */
  #stopping = false;

  constructor(parts: RunParts) {
    const { options, log } = parts;
    this.#parts = parts;
    this.#progress = { ...(options.resume?.progress ?? firstProgress(log)) };
    if (options.resume === undefined) return;
    const { progress } = options.resume;
    log.means = progress.means;
    this.#saved = progress.step;
  }

  /** Trains until all steps are done, the signal comes, or nothing becomes better any more. */
  async result(): Promise<TrainResult> {
    const { dataset, settings, log } = this.#parts;
    const progress = this.#progress;
    const lengths = range(0, dataset.length).map((index) => dataset.inputLength(index));
    while (!this.#isOver()) {
      const { trainBatchSize, seed, gradientAccumulationSteps } = settings;
      const batches = epochBatches(lengths, trainBatchSize, seed, progress.epoch - 1);
      while (progress.batchesOfEpoch < batches.length && !this.#isOver()) {
        const first = progress.batchesOfEpoch;
        await this.#step(batches.slice(first, first + gradientAccumulationSteps));
        await this.#afterStep();
      }
      if (progress.batchesOfEpoch < batches.length) break;
      progress.epoch += 1;
      progress.batchesOfEpoch = 0;
      log.startEpoch();
    }
    const { step, validation, best } = progress;
    return {
      steps: step,
      interrupted: !this.#isDone() && this.#isAborted(),
      stoppedEarly: this.#isStoppedEarly(),
      validation,
      best,
    };
  }

  /** One optimizer step on the mean loss of all labels of some batches. */
  async #step(indices: readonly (readonly number[])[]): Promise<void> {
    const { checkpoint, options, settings, log } = this.#parts;
    const progress = this.#progress;
    const started = performance.now();
    const learningRate = learningRateAt(settings.lrSchedule, progress.step, {
      learningRate: settings.learningRate,
      steps: settings.numOptimSteps,
      warmupSteps: settings.warmupSteps,
      warmupProportion: settings.warmupProportion,
      width: checkpoint.parameters.config.n_embd,
    });
    const { losses, gradientNorm } = await this.#learn(indices, learningRate);
    progress.step += 1;
    progress.batches += indices.length;
    progress.batchesOfEpoch += indices.length;
    progress.seconds += (performance.now() - started) / 1000;
    const { loss } = losses.result;
    this.#requireFinite('loss', loss);
    await log.step(progress.epoch, progress.step, progress.batches);
    const report = {
      step: progress.step,
      steps: settings.numOptimSteps,
      epoch: progress.epoch,
      loss,
      learningRate,
      gradientNorm,
      tokens: progress.tokens,
      seconds: progress.seconds,
    };
    await log.report(report);
    options.onStep?.(report);
  }

  /** @throws UserError if training has gone astray, so that nothing of it is saved. */
  #requireFinite(name: string, loss: number): void {
    if (Number.isFinite(loss)) return;
    const kept =
      this.#saved === undefined
        ? 'nothing was saved'
        : `${checkpointFolder(this.#parts.options.outputDir, this.#saved)} is the last that was saved`;
    throw new UserError(
      `The ${name} became ${loss} at step ${this.#progress.step}; ${kept}. Start again with a lower --learning-rate.`,
    );
  }

  /**
   * Learns from the mean loss of all labels of some batches, which the processes share out.
   */
  async #learn(
    indices: readonly (readonly number[])[],
    learningRate: number,
  ): Promise<{ readonly losses: LossSum; readonly gradientNorm: number }> {
    const { learner, processes, options } = this.#parts;
    const { rank, size } = processes;
    const progress = this.#progress;
    const mine = indices.flatMap((batch, index) =>
      index % size === rank ? [{ index, batch: this.#batch(batch) }] : [],
    );
    const labels = new Float64Array([sum(mine.map(({ batch }) => batch.labels.length))]);
    await processes.allReduceSum(labels);
    for (const [place, { index, batch }] of mine.entries()) {
      const last = place === mine.length - 1;
      await learner.backward(batch, 1 / at(labels, 0), progress.batches + index, last);
    }
    const update = await learner.update(learningRate);
    this.#noteScale(update);
    // What is known of each batch, where it belongs, and at the end who was told to stop.
    const known = new Float64Array(indices.length * BATCH_FACTS + 1);
    for (const [place, { index, batch }] of mine.entries()) {
      const facts = known.subarray(index * BATCH_FACTS);
      new LossSum(facts).add(batch, at(update.losses, place));
      facts.set([batch.tokens, batch.places], LossSum.SIZE);
    }
    if (isAborted(options.signal)) known[known.length - 1] = 1;
    await processes.allReduceSum(known);
    this.#stopping = at(known, known.length - 1) > 0;
    return { losses: this.#sumFacts(known), gradientNorm: update.gradientNorm };
  }

  /** Adds up what is known of the batches of a step, and logs them. */
  #sumFacts(known: Float64Array): LossSum {
    const losses = new LossSum();
    for (let start = 0; start < known.length - 1; start += BATCH_FACTS) {
      const batchLosses = new LossSum(known.subarray(start));
      const [tokens = 0, places = 0] = known.subarray(start + LossSum.SIZE);
      losses.addSum(batchLosses);
      this.#parts.log.batch(batchLosses.result, tokens, places);
      this.#progress.tokens += tokens;
    }
    return losses;
  }

  /** Takes over the scale of the loss, and tells of a step that half precision was too narrow for. */
  #noteScale({ skipped }: UpdateReport): void {
    const { learner, options } = this.#parts;
    const state = learner.lossScale;
    if (state === undefined) return;
    if (skipped) {
      options.onNotice?.(
        `Step ${this.#progress.step + 1} changes nothing: its gradients overflowed in half precision. The loss scale is now ${state.lossScale}.`,
      );
    }
    this.#progress.lossScale = state.lossScale;
    this.#progress.goodSteps = state.goodSteps;
  }

  #batch(indices: readonly number[]): Batch {
    const { dataset, settings, learner } = this.#parts;
    return makeBatch(
      indices.map((index) => dataset.example(index)),
      !settings.noTokenId,
      learner.rounding,
    );
  }

  /** Validates and saves where it is time. */
  async #afterStep(): Promise<void> {
    const { checkpoint, heldOut, options } = this.#parts;
    const { validStep = Infinity, saveSteps = validStep, outputDir, keep = 2 } = options;
    const progress = this.#progress;
    const { step } = progress;
    const validates = heldOut !== undefined && (this.#isDone() || step % validStep === 0);
    const better = validates && (await this.#validate(heldOut));
    const last = this.#isOver();
    if (!last && !validates && step % saveSteps !== 0) return;
    await this.#parts.learner.collectWeights();
    // The model comes before the checkpoint: whoever goes on from an older one writes it again.
    const writes = this.#parts.processes.rank === 0;
    if (writes && (better || heldOut === undefined || progress.best === undefined)) {
      await saveCheckpoint(outputDir, checkpoint);
    }
    if (writes && (last || step % saveSteps === 0)) await this.#save(keep);
    if (validates && progress.validation !== undefined) {
      await options.onValidation?.(progress.validation);
    }
  }

  async #save(keep: number): Promise<void> {
    const { checkpoint, options, settings, log, learner } = this.#parts;
    const progress = { ...this.#progress, means: log.means };
    const state = { progress, settings, command: { ...options.command } };
    const moments = await learner.collectMoments();
    await writeCheckpoint(options.outputDir, checkpoint, moments, state, keep);
    this.#saved = progress.step;
  }

  /** Measures the held-out loss and returns whether it is the lowest so far. */
  async #validate(heldOut: Dataset): Promise<boolean> {
    const { learner, log, options, settings, processes } = this.#parts;
    const progress = this.#progress;
    const { loss, perplexity, sequencePerplexity, labels } = await measurePerplexity(
      learner,
      heldOut,
      {
        batchSize: options.evalBatchSize ?? settings.trainBatchSize,
        tokenTypes: !settings.noTokenId,
        processes,
      },
    );
    this.#requireFinite('held-out loss', loss);
    const measured: Perplexity = { loss, perplexity, sequencePerplexity, labels };
    const validation = { step: progress.step, ...measured };
    const better = progress.best === undefined || loss < progress.best.loss;
    progress.validation = validation;
    progress.withoutImprovement = better ? 0 : progress.withoutImprovement + 1;
    if (better) progress.best = validation;
    await log.validation(progress.epoch, progress.step, progress.batches, measured);
    return better;
  }

  #isOver(): boolean {
    return this.#isDone() || this.#isStoppedEarly() || this.#isAborted();
  }

  /** Whether all are to stop: with several processes, once a step has told them of it. */
  #isAborted(): boolean {
    const { processes, options } = this.#parts;
    return processes.size === 1 ? isAborted(options.signal) : this.#stopping;
  }

  #isDone(): boolean {
    return this.#progress.step >= this.#parts.settings.numOptimSteps;
  }

  #isStoppedEarly(): boolean {
    const { earlyStoppingPatience = Infinity } = this.#parts.options;
    return this.#progress.withoutImprovement >= earlyStoppingPatience;
  }
}

/** Whether the newest weights are the best. */
function isBest({ step, best }: Progress): boolean {
  return best?.step === step;
}

function firstProgress(log: RunLog): Progress {
  return {
    step: 0,
    epoch: 1,
    batchesOfEpoch: 0,
    batches: 0,
    tokens: 0,
    seconds: 0,
    lossScale: null,
    goodSteps: 0,
    means: log.means,
    withoutImprovement: 0,
  };
}

/** What trains: on the device where it can stay there, else in this process's memory. */
async function createLearner(
  checkpoint: Checkpoint,
  settings: ExactSettings,
  options: TrainOptions,
  onDevice: boolean,
): Promise<Learner> {
  const { device = 'cpu', threads, recompute = false, resume, adam, processes = ALONE } = options;
  const common = {
    device,
    tokenTypes: !settings.noTokenId,
    seed: settings.seed,
    adam,
    moments: resume,
    ...(threads === undefined ? {} : { threads }),
  };
  if (!onDevice) return HostLearner.create(checkpoint, { ...common, recompute, processes });
  const { lossScale, goodSteps } = resume?.progress ?? { lossScale: null, goodSteps: 0 };
  return DeviceLearner.create(checkpoint.parameters, {
    ...common,
    half: settings.fp16,
    lossScale: settings.lossScale,
    lossScaleState: lossScale === null ? undefined : { lossScale, goodSteps },
  });
}

/** Read anew each time, because it changes while others run. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}
