import { at } from '../base/arrays.js';
import type { Parameter, Parameters } from '../model/index.js';
import {
  type Device,
  float32,
  floatsOf,
  hasFusedOperators,
  type HostTensor,
  type HostTensors,
  Session,
} from '../runtime/index.js';
import type { Batch } from './batch.js';
import { LABEL_LOSSES, LOSS_SCALE, type LossGraph, lossGraph } from './loss-graph.js';

/** How a {@link LossModel} is made. */
export interface LossModelOptions {
  readonly device?: Device;
  readonly threads?: number;
  /** Whether token-type ids are read and their embeddings added. */
  readonly tokenTypes?: boolean;
  /** Where the drawing of dropout masks starts. */
  readonly seed?: number;
}

/** A model ready to compute losses and, if made for it, gradients. */
export class LossModel {
  readonly parameters: Parameters;
  readonly #session: Session;
  readonly #graph: LossGraph;
  readonly #weights: HostTensors;

  private constructor(parameters: Parameters, session: Session, graph: LossGraph) {
    this.parameters = parameters;
    this.#session = session;
    this.#graph = graph;
    this.#weights = Object.fromEntries(
      parameters.layout.map((parameter) => [parameter.name, tensorOf(parameters, parameter)]),
    );
  }

  /** A model that computes losses without dropout. */
  static async forEvaluation(
    parameters: Parameters,
    options: LossModelOptions = {},
  ): Promise<LossModel> {
    return LossModel.#create(parameters, options, false);
  }

  /** A model that computes losses and gradients, with dropout. */
  static async forTraining(
    parameters: Parameters,
    options: LossModelOptions = {},
  ): Promise<LossModel> {
    return LossModel.#create(parameters, options, true);
  }

  static async #create(
    parameters: Parameters,
    options: LossModelOptions,
    gradients: boolean,
  ): Promise<LossModel> {
    const { device = 'cpu', tokenTypes = false, seed = 0 } = options;
    const fused = hasFusedOperators(device);
    const graph = lossGraph(parameters.config, { gradients, tokenTypes, seed, fused });
    return new LossModel(parameters, await Session.create(graph.graph, options), graph);
  }

  /** The loss of each label of a batch: `[labels]`. */
  async losses(batch: Batch): Promise<Float32Array> {
    const outputs = await this.#session.run(
      { ...this.#weights, ...batch.feeds },
      { [LABEL_LOSSES]: null },
    );
    return floatsOf(outputs[LABEL_LOSSES]);
  }

  /**
   * Adds the gradient of `scale · Σ losses` to `gradients`.
   *
   * @returns the loss of each label: `[labels]`
   */
  async backward(batch: Batch, scale: number, gradients: Parameters): Promise<Float32Array> {
    const feeds: Record<string, HostTensor> = {
      ...this.#weights,
      ...batch.feeds,
      [LOSS_SCALE]: float32(Float32Array.of(scale), []),
    };
    const fetches: Record<string, HostTensor | null> = { [LABEL_LOSSES]: null };
    const byName = new Map(gradients.layout.map((parameter) => [parameter.name, parameter]));
    for (const name of this.#graph.dense) {
      const tensor = tensorOf(gradients, find(byName, name));
      feeds[`accumulated.${name}`] = tensor;
      fetches[`gradient.${name}`] = tensor;
    }
    for (const { values } of this.#graph.rows) fetches[values] = null;
    const outputs = await this.#session.run(feeds, fetches);
    for (const { parameter, rows, values } of this.#graph.rows) {
      addRows(
        gradients.view(find(byName, parameter)),
        find(new Map(Object.entries(batch.lookups)), rows),
        floatsOf(outputs[values]),
      );
    }
    return floatsOf(outputs[LABEL_LOSSES]);
  }

  /** Frees what the session holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

function tensorOf(parameters: Parameters, parameter: Parameter): HostTensor {
  return float32(parameters.view(parameter), parameter.shape);
}

function find<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`There is no ${name}.`);
  return value;
}

/** Adds row `i` of `values` to row `rows[i]` of `table`. */
export function addRows(table: Float32Array, rows: Int32Array, values: Float32Array): void {
  const width = values.length / rows.length;
  for (let index = 0; index < rows.length; index++) {
    const target = at(rows, index) * width;
    const source = index * width;
    for (let column = 0; column < width; column++) {
      table[target + column] = at(table, target + column) + at(values, source + column);
    }
  }
}
