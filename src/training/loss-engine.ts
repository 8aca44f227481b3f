import { at } from '../base/arrays.js';
import type { Shape } from '../graph/index.js';
import type { Parameter, ParameterBuffer } from '../model/index.js';
import { float32, floatsOf, type HostTensor, type HostTensors } from '../runtime/index.js';
import type { Batch } from './batch.js';
import type { MaskDraw } from './dropout-masks.js';
import type { RowOutput } from './loss-graph.js';

/** Told of each layer, the last one first, once its gradients of a batch are complete. */
export type OnLayer = (layer: number) => void;

/** Which dropout masks a batch gets, but for the seed. */
export type BatchDraw = Pick<MaskDraw, 'draw' | 'part'>;

/** What computes the losses and gradients of a batch; see `LossModel` for what its methods do. */
export interface LossEngine {
  losses(batch: Batch): Promise<Float32Array>;
  backward(
    batch: Batch,
    scale: number,
    gradients: ParameterBuffer,
    draw: BatchDraw,
    onLayer?: OnLayer,
  ): Promise<Float32Array>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A model's parameters, or their gradients, as tensors that share its memory. */
export class ParameterTensors {
  readonly #tensors: ReadonlyMap<string, HostTensor>;

  /** @param slices parts of the parameters, which go by names of their own */
  constructor(parameters: ParameterBuffer, slices: readonly Parameter[] = []) {
    this.#tensors = new Map(
      [...parameters.layout, ...slices].map((parameter) => [
        parameter.name,
        float32(parameters.view(parameter), parameter.shape),
      ]),
    );
  }

  /** All of them, by name. */
  get all(): HostTensors {
    return Object.fromEntries(this.#tensors);
  }

  of(name: string): HostTensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new Error(`There is no parameter ${name}.`);
    return tensor;
  }
}

/** The lengths of the named dimensions of a batch's tensors. */
export type Lengths = Readonly<Record<string, number>>;

/** The lengths of one batch. */
export function lengthsOf(batch: Batch): Lengths {
  return {
    batch: batch.size,
    tokens: batch.tokens,
    time: batch.time,
    'batch·time': batch.places,
    labels: batch.labels.length,
  };
}

/**
 * Memory that serves again from batch to batch, by name, for a graph's outputs. Fresh memory is
 * slow: the system gives it page by page, each at its first touch.
 */
export class Scratch {
  readonly #floats = new Map<string, Float32Array>();

  /** A tensor of numbers; what they are is left over from before. */
  floats(name: string, shape: Shape, lengths: Lengths): HostTensor {
    const measured = measure(shape, lengths);
    const length = product(measured);
    let memory = this.#floats.get(name);
    if (memory === undefined || memory.length < length) memory = new Float32Array(length);
    this.#floats.set(name, memory);
    return float32(memory.subarray(0, length), measured);
  }

  /** A tensor for each of the row gradients that a graph puts out. */
  rows(outputs: readonly RowOutput[], lengths: Lengths): HostTensors {
    return Object.fromEntries(
      outputs.map(({ values, shape }) => [values, this.floats(values, shape, lengths)]),
    );
  }
}

/**
 * Adds row gradients to their tables.
 *
 * @param values what {@link Scratch.rows} gave, filled by a run
 * @param rowsOf the rows that an input of the graph names
 * @param tableOf the numbers of a table
 */
export function addRowGradients(
  outputs: readonly RowOutput[],
  values: HostTensors,
  rowsOf: Readonly<Record<string, Int32Array>>,
  tableOf: (parameter: string) => Float32Array,
): void {
  for (const output of outputs) {
    const rows = rowsOf[output.rows];
    if (rows === undefined) throw new Error(`The batch has no rows ${output.rows}.`);
    addRows(tableOf(output.parameter), rows, floatsOf(values[output.values]));
  }
}

/** Adds row `i` of `values` to row `rows[i]` of `table`. */
function addRows(table: Float32Array, rows: Int32Array, values: Float32Array): void {
  const width = values.length / rows.length;
  for (let index = 0; index < rows.length; index++) {
    const target = at(rows, index) * width;
    const source = index * width;
    for (let column = 0; column < width; column++) {
      table[target + column] = at(table, target + column) + at(values, source + column);
    }
  }
}

function measure(shape: Shape, lengths: Lengths): readonly number[] {
  return shape.map((dimension) => {
    const length = typeof dimension === 'number' ? dimension : lengths[dimension];
    if (length === undefined) throw new Error(`The length of ${dimension} is not known.`);
    return length;
  });
}

function product(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total * number, 1);
}
