import { UserError } from '../base/errors.js';
import type { LoraAdapter, ParameterBuffer, Parameters } from '../model/index.js';
import { type Device, hasFusedOperators, Session } from '../runtime/index.js';
import type { Batch } from './batch.js';
import { LayeredEngine } from './layered-engine.js';
import type { LossEngine, OnLayer } from './loss-engine.js';
import { lossGraph } from './loss-graph.js';
import { WholeEngine } from './whole-engine.js';

/** How a {@link LossModel} is made. */
export interface LossModelOptions {
  readonly device?: Device;
  readonly threads?: number;
  /** Whether token-type ids are read and their embeddings added. */
  readonly tokenTypes?: boolean;
  /** Where the drawing of dropout masks starts; 0. */
  readonly seed?: number;
  /**
   * Train in less memory and a third more time: keep only what enters each layer, and compute the
   * layer once more on the way back; the head works on a limited number of labels at a time.
   */
  readonly recompute?: boolean;
  /** An adapter beside the weights, which is then what gradients are for. */
  readonly adapter?: LoraAdapter | undefined;
}

/** A model ready to compute losses and, if made for it, gradients. */
export class LossModel {
  readonly parameters: Parameters;
  readonly #engine: LossEngine;
  #draws = 0;

  private constructor(parameters: Parameters, engine: LossEngine) {
    this.parameters = parameters;
    this.#engine = engine;
  }

  /** A model that computes losses without dropout. */
  static async forEvaluation(
    parameters: Parameters,
    options: LossModelOptions = {},
  ): Promise<LossModel> {
    return new LossModel(parameters, await wholeEngine(parameters, options, false));
  }

  /**
   * A model that computes losses and gradients, with dropout.
   *
   * @throws UserError for an adapter with `recompute`.
   */
  static async forTraining(
    parameters: Parameters,
    options: LossModelOptions = {},
  ): Promise<LossModel> {
    if (options.recompute === true && options.adapter !== undefined) {
      throw new UserError('An adapter is not trained with --recompute; leave out one of them.');
    }
    const engine =
      options.recompute === true
        ? await LayeredEngine.create(parameters, options)
        : await wholeEngine(parameters, options, true);
    return new LossModel(parameters, engine);
  }

  /** The loss of each label of a batch: `[labels]`. */
  async losses(batch: Batch): Promise<Float32Array> {
    return this.#engine.losses(batch);
  }

  /**
   * Adds the gradient of `scale · Σ losses` to `gradients`: of all parameters, or of the adapter's.
   *
   * @param draw which dropout masks: they depend on the seed, this number and the batch's shape
   *   alone; unless given, each call takes the next number
   * @param onLayer told of each layer whose gradients are complete before all are; with `recompute`
   * @returns the loss of each label: `[labels]`
   */
  async backward(
    batch: Batch,
    scale: number,
    gradients: ParameterBuffer,
    draw = this.#draws++,
    onLayer?: OnLayer,
  ): Promise<Float32Array> {
    return this.#engine.backward(batch, scale, gradients, draw, onLayer);
  }

  /** Frees what the sessions hold outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine[Symbol.asyncDispose]();
  }
}

async function wholeEngine(
  parameters: Parameters,
  options: LossModelOptions,
  gradients: boolean,
): Promise<WholeEngine> {
  const { device = 'cpu', tokenTypes = false, adapter } = options;
  const fused = hasFusedOperators(device);
  const graph = lossGraph(parameters.config, { gradients, tokenTypes, fused, adapter });
  const session = await Session.create(graph.graph, { ...options, inPlace: true });
  return new WholeEngine(parameters, session, graph, options);
}
