import type { Tensor } from '../graph.js';
import { ShapeError } from '../shapes.js';

/** The single output of an operation. */
export function only(outputs: readonly Tensor[]): Tensor {
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0) {
    throw new Error(`An operation with one output made ${outputs.length}.`);
  }
  return output;
}

/** Throws unless `x` holds floating-point numbers. */
export function requireFloat(operation: string, x: Tensor): void {
  if (x.type !== 'float32' && x.type !== 'float16') {
    throw new ShapeError(operation, [x], 'needs floating-point numbers');
  }
}

/** Throws unless `indices` holds whole numbers that can index. */
export function requireIndices(operation: string, x: Tensor, indices: Tensor): void {
  if (indices.type !== 'int64' && indices.type !== 'int32') {
    throw new ShapeError(operation, [x, indices], 'needs int32 or int64 indices');
  }
}

/** Throws unless `a` and `b` hold the same type of numbers. */
export function requireSameType(operation: string, a: Tensor, b: Tensor): void {
  if (a.type !== b.type) throw new ShapeError(operation, [a, b], 'the element types differ');
}

/** Throws unless `x` has `rank` dimensions. */
export function requireRank(operation: string, x: Tensor, rank: number): void {
  if (x.rank !== rank) throw new ShapeError(operation, [x], `needs ${rank} dimensions`);
}
