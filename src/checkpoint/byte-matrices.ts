import type { Graph, Tensor } from '../graph/index.js';
import { type Parameter, POSITION_EMBEDDING, TOKEN_EMBEDDING } from '../model/index.js';
import { onlyOutput } from './onnx-graph.js';

/** A byte in the middle of the range, which stands for 0 in 8-bit weights. */
export const ZERO_POINT = 128;

/** A matrix as bytes; the number is `scale · (byte − 128)`. */
export interface ByteMatrix {
  readonly bytes: Tensor;
  /** The same bytes read as numbers with a sign; only where they lie in a file. */
  readonly signed?: () => Tensor;
  readonly scale: Tensor;
}

/** Matrices of bytes, each under the tensor that stands for its numbers in the graph. */
export type ByteMatrices = Map<Tensor, ByteMatrix>;

/** The largest magnitude maps to 127 steps from the middle. */
function scaleOf(largest: number): number {
  return largest === 0 ? 1 : largest / 127;
}

/** A scale for each row of a matrix. */
export function rowScales(data: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const largest = new Float32Array(data.length / columns);
  for (let row = 0; row < largest.length; row++) {
    let most = 0;
    for (let index = row * columns; index < (row + 1) * columns; index++) {
      most = Math.max(most, Math.abs(data[index] ?? 0));
    }
    largest[row] = most;
  }
  return largest.map(scaleOf);
}

/** A scale for each column of a matrix. */
export function columnScales(data: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const largest = new Float32Array(columns);
  for (let start = 0; start < data.length; start += columns) {
    for (let column = 0; column < columns; column++) {
      const size = Math.abs(data[start + column] ?? 0);
      if (size > (largest[column] ?? 0)) largest[column] = size;
    }
  }
  return largest.map(scaleOf);
}

/** The bytes of a matrix: `round(number / scale) + 128`, with a scale for each row or column. */
export function quantize(
  data: Float32Array,
  columns: number,
  scales: Float32Array,
  byRow: boolean,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.length);
  for (let start = 0; start < data.length; start += columns) {
    const scale = scales[start / columns] ?? 1;
    for (let column = 0; column < columns; column++) {
      const number = data[start + column] ?? 0;
      const steps = number / (byRow ? scale : (scales[column] ?? 1));
      bytes[start + column] = ZERO_POINT + Math.round(steps);
    }
  }
  return bytes;
}

/** The numbers of consecutive bytes of a matrix, from the one numbered `start` on. */
export function dequantize(
  bytes: Uint8Array,
  start: number,
  columns: number,
  scales: Float32Array,
  byRow: boolean,
  target: Float32Array,
): void {
  for (let index = 0; index < bytes.length; index++) {
    const place = start + index;
    const scale = scales[byRow ? Math.floor(place / columns) : place % columns] ?? 1;
    target[index] = ((bytes[index] ?? 0) - ZERO_POINT) * scale;
  }
}

/** Whether a parameter is stored as bytes with a scale for each row (token), not each column. */
export function hasRowScales(name: string): boolean {
  return name === TOKEN_EMBEDDING;
}

/** Whether a parameter is a matrix to multiply by, which can be bytes. */
export function isQuantizable({ name, shape }: Pick<Parameter, 'name' | 'shape'>): boolean {
  return shape.length === 2 && name !== POSITION_EMBEDDING;
}

/**
 * A tensor that stands for a matrix of bytes in a graph, until `computeWithBytes` replaces
 * everything that reads it.
 */
export function standIn(
  graph: Graph,
  shape: readonly number[],
  matrix: ByteMatrix,
  matrices: ByteMatrices,
): Tensor {
  const tensor = onlyOutput(
    graph.node('DequantizeLinear', [matrix.bytes, matrix.scale], [{ type: 'float32', shape }]),
  );
  matrices.set(tensor, matrix);
  return tensor;
}
