import {
  headSlices,
  type LoraAdapter,
  type Parameter,
  type ParameterBuffer,
  type Parameters,
} from '../model/index.js';
import { float32, floatsOf, type HostTensor, type HostTensors, Session } from '../runtime/index.js';
import type { Batch } from './batch.js';
import { drawMasks } from './dropout-masks.js';
import {
  addRowGradients,
  type BatchDraw,
  lengthsOf,
  type LossEngine,
  ParameterTensors,
  Scratch,
} from './loss-engine.js';
import { LABEL_LOSSES, LOSS_SCALE, type LossGraph } from './loss-graph.js';

/** Computes losses and gradients in one run of one graph, which keeps all that lies between. */
export class WholeEngine implements LossEngine {
  readonly #session: Session;
  readonly #graph: LossGraph;
  readonly #weights: HostTensors;
  /** Slices of the embedding among what is trained; none with an adapter, for which it stays. */
  readonly #trainedSlices: readonly Parameter[];
  readonly #scratch = new Scratch();

  readonly #seed: number;

  /** @param session of `graph`, writing in place */
  constructor(
    parameters: Parameters,
    session: Session,
    graph: LossGraph,
    { seed = 0, adapter }: { readonly seed?: number; readonly adapter?: LoraAdapter | undefined },
  ) {
    this.#seed = seed;
    this.#session = session;
    this.#graph = graph;
    const slices = headSlices(parameters.config);
    this.#trainedSlices = adapter === undefined ? slices : [];
    this.#weights = {
      ...new ParameterTensors(parameters, slices).all,
      ...(adapter && new ParameterTensors(adapter).all),
    };
  }

  async losses(batch: Batch): Promise<Float32Array> {
    const losses = emptyLosses(batch);
    await this.#session.run({ ...this.#weights, ...batch.feeds }, { [LABEL_LOSSES]: losses });
    return floatsOf(losses);
  }

  async backward(
    batch: Batch,
    scale: number,
    gradients: ParameterBuffer,
    draw: BatchDraw,
  ): Promise<Float32Array> {
    const { dense, rows } = this.#graph;
    const accumulated = new ParameterTensors(gradients, this.#trainedSlices);
    const feeds: Record<string, HostTensor> = {
      ...this.#weights,
      ...batch.feeds,
      ...drawMasks(this.#graph, batch.feeds, { seed: this.#seed, ...draw }),
      [LOSS_SCALE]: float32(Float32Array.of(scale), []),
    };
    const losses = emptyLosses(batch);
    const values = this.#scratch.rows(rows, lengthsOf(batch));
    const fetches: Record<string, HostTensor> = { [LABEL_LOSSES]: losses, ...values };
    for (const name of dense) {
      feeds[`accumulated.${name}`] = accumulated.of(name);
      fetches[`gradient.${name}`] = accumulated.of(name);
    }
    await this.#session.run(feeds, fetches);
    addRowGradients(rows, values, batch.lookups, (name) => floatsOf(accumulated.of(name)));
    return floatsOf(losses);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

function emptyLosses({ labels }: Batch): HostTensor {
  return float32(new Float32Array(labels.length), [labels.length]);
}
