import type { Dimension, Shape, TensorType } from './tensor.js';

/** A shape or type that an operation cannot take; the message names the operation and the shapes. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';

  constructor(operation: string, tensors: readonly TensorType[], reason: string) {
    const operands = tensors.map((tensor) => `${tensor.type}${formatShape(tensor.shape)}`);
    super(`${operation}(${operands.join(', ')}): ${reason}`);
  }
}

/** A shape as text, for messages: `[batch, 12, 64]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Whether two shapes are the same, name by name and number by number. */
export function sameShape(left: Shape, right: Shape): boolean {
  return left.length === right.length && left.every((dimension, axis) => dimension === right[axis]);
}

/** An axis counted from the front (0 ≤ axis < rank); a negative one counts from the back. */
export function normalizeAxis(operation: string, tensor: TensorType, axis: number): number {
  const positive = axis < 0 ? axis + tensor.shape.length : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= tensor.shape.length) {
    throw new ShapeError(operation, [tensor], `there is no axis ${axis}`);
  }
  return positive;
}

/** The dimension of `tensor` at `axis`, which may be negative. */
export function dimensionAt(operation: string, tensor: TensorType, axis: number): Dimension {
  const dimension = tensor.shape[normalizeAxis(operation, tensor, axis)];
  if (dimension === undefined)
    throw new ShapeError(operation, [tensor], `there is no axis ${axis}`);
  return dimension;
}

/** The shape two operands broadcast to, as NumPy and ONNX define it. */
export function broadcastShapes(operation: string, left: TensorType, right: TensorType): Shape {
  const rank = Math.max(left.shape.length, right.shape.length);
  return Array.from({ length: rank }, (_, axis) => {
    const a = left.shape[axis - rank + left.shape.length] ?? 1;
    const b = right.shape[axis - rank + right.shape.length] ?? 1;
    if (a === b || b === 1) return a;
    if (a === 1) return b;
    throw new ShapeError(operation, [left, right], `dimensions ${a} and ${b} do not broadcast`);
  });
}

/**
 * The product of a shape's dimensions as a number and the sorted names in it, which together say
 * how many elements it has as far as that is known before running.
 */
function elementCount(shape: Shape): { readonly known: number; readonly names: readonly string[] } {
  let known = 1;
  const names: string[] = [];
  for (const dimension of shape) {
    if (typeof dimension === 'number') known *= dimension;
    else names.push(dimension);
  }
  return { known, names: names.sort() };
}

/**
 * The shape vector that an ONNX `Reshape` of `tensor` to `target` needs (0 keeps a dimension, −1
 * is inferred), or undefined if more than one dimension would have to be inferred.
 */
export function reshapeVector(
  operation: string,
  tensor: TensorType,
  target: Shape,
): readonly number[] | undefined {
  const before = elementCount(tensor.shape);
  const after = elementCount(target);
  if (before.names.join() === after.names.join() && before.known !== after.known) {
    throw new ShapeError(
      operation,
      [tensor],
      `the number of elements differs from that of ${formatShape(target)}`,
    );
  }
  const vector = target.map((dimension, axis) => {
    if (typeof dimension === 'number') return dimension;
    return dimension === tensor.shape[axis] ? 0 : -1;
  });
  return vector.filter((dimension) => dimension === -1).length <= 1 ? vector : undefined;
}
