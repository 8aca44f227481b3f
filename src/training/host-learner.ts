import { ParameterBuffer } from '../model/index.js';
import type { Communicator } from '../runtime/index.js';
import type { Checkpoint } from '../checkpoint/index.js';
import type { Batch } from './batch.js';
import { GradientExchange } from './gradient-exchange.js';
import type { Learner, Moments, UpdateReport } from './learner.js';
import { LossModel, type LossModelOptions } from './loss-model.js';
import { Adam, type AdamOptions } from './optimizer.js';

/** How a {@link HostLearner} is made. */
export interface HostLearnerOptions extends Omit<LossModelOptions, 'adapter'> {
  readonly adam?: AdamOptions | undefined;
  /** Those that share out the batches of a step. */
  readonly processes: Communicator;
  /** The moments to go on with. */
  readonly moments?: Moments | undefined;
}

/**
 * Holds weights, gradients and moments in this process's memory; with several processes, each has
 * all of them. Graphs may run on a device, to which all weights then go at every run.
 */
export class HostLearner implements Learner {
  readonly lossScale = undefined;
  readonly rounding = {};
  readonly #weights: ParameterBuffer;
  readonly #gradients: ParameterBuffer;
  readonly #adam: Adam;
  readonly #model: LossModel;
  readonly #evaluator: LossModel;
  readonly #exchange: GradientExchange;
  #losses: Float32Array[] = [];

  private constructor(
    weights: ParameterBuffer,
    model: LossModel,
    evaluator: LossModel,
    { adam, moments, processes, threads }: HostLearnerOptions,
    bucketLayers: number,
  ) {
    this.#weights = weights;
    this.#gradients = new ParameterBuffer(weights.layout);
    this.#adam = new Adam(weights.layout, adam, threads);
    this.#model = model;
    this.#evaluator = evaluator;
    this.#exchange = new GradientExchange(this.#gradients, bucketLayers, processes);
    if (moments === undefined) return;
    this.#adam.firstMoments.buffer.set(moments.firstMoments.buffer);
    this.#adam.secondMoments.buffer.set(moments.secondMoments.buffer);
  }

  /** Trains a checkpoint's adapter if it has one, else its parameters. */
  static async create(
    { parameters, adapter }: Checkpoint,
    options: HostLearnerOptions,
  ): Promise<HostLearner> {
    const { recompute = false, ...others } = options;
    const model = await LossModel.forTraining(parameters, { ...others, recompute, adapter });
    const evaluator = await LossModel.forEvaluation(parameters, { ...others, adapter });
    // A whole graph runs as one: only layers computed one by one are complete before the rest.
    const bucketLayers = recompute ? parameters.config.n_layer : 0;
    return new HostLearner(adapter ?? parameters, model, evaluator, options, bucketLayers);
  }

  async backward(batch: Batch, scale: number, draw: number, last = false): Promise<void> {
    const onLayer = last
      ? (layer: number) => {
          this.#exchange.layerIsDone(layer);
        }
      : undefined;
    this.#losses.push(await this.#model.backward(batch, scale, this.#gradients, draw, onLayer));
  }

  async update(learningRate: number): Promise<UpdateReport> {
    await this.#exchange.finish();
    const { gradientNorm } = this.#adam.step(this.#weights, this.#gradients, learningRate);
    this.#gradients.buffer.fill(0);
    const losses = this.#losses;
    this.#losses = [];
    return { losses, gradientNorm, skipped: false };
  }

  async losses(batch: Batch): Promise<Float32Array> {
    return this.#evaluator.losses(batch);
  }

  collectWeights(): Promise<void> {
    return Promise.resolve();
  }

  collectMoments(): Promise<Moments> {
    return Promise.resolve(this.#adam);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model[Symbol.asyncDispose]();
    await this.#evaluator[Symbol.asyncDispose]();
    await this.#adam[Symbol.asyncDispose]();
  }
}
