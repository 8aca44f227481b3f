import { UserError } from '../base/errors.js';
import type { LoraAdapter, ParameterBuffer, Parameters } from '../model/index.js';
import { type Device, hasFusedOperators, Session } from '../runtime/index.js';
import { type Batch, splitBatch } from './batch.js';
import { LayeredEngine } from './layered-engine.js';
import type { LossEngine, OnLayer } from './loss-engine.js';
import { lossGraph } from './loss-graph.js';
import { WholeEngine } from './whole-engine.js';

/**
 * How many tokens are computed together on the CPU, unless said otherwise. What lies between the
 * layers then stays in the processor's caches; more tokens at once make no product faster.
 */
const TOKENS_AT_ONCE = 1280;

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
  /**
   * A batch of more tokens is computed in parts, one after the other, to the same gradients but for
   * rounding and with dropout masks of its own for each part. 1,280 on the CPU, elsewhere no limit.
   */
  readonly tokensAtOnce?: number | undefined;
  /** As in `SessionOptions`; without `recompute`. */
  readonly profile?: string | undefined;
}

/** A model ready to compute losses and, if made for it, gradients. */
export class LossModel {
  readonly parameters: Parameters;
  readonly #engine: LossEngine;
  readonly #tokensAtOnce: number;
  #draws = 0;

  private constructor(
    parameters: Parameters,
    engine: LossEngine,
    { device = 'cpu', tokensAtOnce }: LossModelOptions,
  ) {
    this.parameters = parameters;
    this.#engine = engine;
    this.#tokensAtOnce = tokensAtOnce ?? (device === 'cpu' ? TOKENS_AT_ONCE : Infinity);
  }

  /** A model that computes losses without dropout. */
  static async forEvaluation(
    parameters: Parameters,
    options: LossModelOptions = {},
  ): Promise<LossModel> {
    return new LossModel(parameters, await wholeEngine(parameters, options, false), options);
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
    return new LossModel(parameters, engine, options);
  }

  /** The loss of each label of a batch: `[labels]`. */
  async losses(batch: Batch): Promise<Float32Array> {
    return this.#byParts(batch, (part) => this.#engine.losses(part));
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
    return this.#byParts(batch, (part, number, last) =>
      this.#engine.backward(
        part,
        scale,
        gradients,
        { draw, part: number },
        last ? onLayer : undefined,
      ),
    );
  }

  /** Computes a batch part by part, and lays the losses of all labels end to end. */
  async #byParts(
    batch: Batch,
    compute: (part: Batch, number: number, last: boolean) => Promise<Float32Array>,
  ): Promise<Float32Array> {
    const parts = splitBatch(batch, this.#tokensAtOnce);
    const losses = new Float32Array(batch.labels.length);
    let start = 0;
    for (const [number, part] of parts.entries()) {
      // What has nothing to predict has neither losses nor gradients, and graphs take no empty lists.
      if (part.labels.length === 0) continue;
      losses.set(await compute(part, number, number === parts.length - 1), start);
      start += part.labels.length;
    }
    return losses;
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
