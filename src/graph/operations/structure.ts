import { int, ints } from '../attributes.js';
import {
  dimensionAt,
  formatShape,
  normalizeAxis,
  reshapeVector,
  sameShape,
  ShapeError,
} from '../shapes.js';
import type { Tensor } from '../graph.js';
import type { Shape } from '../tensor.js';
import { only, requireIndices, requireRank } from './checks.js';

/**
 * The same elements in another shape. A named dimension either keeps its place or is the only one
 * that has to be worked out from the others.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const { graph } = x;
  const vector = reshapeVector('Reshape', x, shape);
  if (vector === undefined) {
    const target = formatShape(shape);
    throw new ShapeError('Reshape', [x], `more than one dimension of ${target} is unknown`);
  }
  return only(
    graph.operation('Reshape', [x], {}, () => ({
      outputs: graph.node('Reshape', [x, graph.integers(vector)], [{ type: x.type, shape }]),
    })),
  );
}

/** The elements of `x` in the shape that `like` has at run time. */
export function reshapeLike(x: Tensor, like: Tensor): Tensor {
  if (sameShape(x.shape, like.shape)) return x;
  const { graph } = x;
  return only(
    graph.operation('Reshape', [x], {}, () => ({
      outputs: graph.node('Reshape', [x, shapeOf(like)], [{ type: x.type, shape: like.shape }]),
    })),
  );
}

/** `x` repeated along its dimensions of 1 (and new ones in front) to the shape of `like`. */
export function expandLike(x: Tensor, like: Tensor): Tensor {
  if (sameShape(x.shape, like.shape)) return x;
  const { graph } = x;
  return only(
    graph.operation('Expand', [x], {}, () => ({
      outputs: graph.node('Expand', [x, shapeOf(like)], [{ type: x.type, shape: like.shape }]),
    })),
  );
}

/** `x` with its dimensions in another order: dimension `i` of the result is `order[i]` of `x`. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  if (
    !sameShape(
      [...order].sort(),
      x.shape.map((_, axis) => axis),
    )
  ) {
    throw new ShapeError('Transpose', [x], `${formatShape(order)} is not an order of its axes`);
  }
  const { graph } = x;
  const shape = order.map((axis) => dimensionAt('Transpose', x, axis));
  return only(
    graph.operation('Transpose', [x], { order }, () => ({
      outputs: graph.node('Transpose', [x], [{ type: x.type, shape }], { perm: ints(order) }),
    })),
  );
}

/** `x` with a new dimension of 1 at `axis`. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const { graph } = x;
  const position = axis < 0 ? axis + x.rank + 1 : axis;
  if (!Number.isInteger(axis) || position < 0 || position > x.rank) {
    throw new ShapeError('Unsqueeze', [x], `there is no axis ${axis}`);
  }
  const shape = x.shape.toSpliced(position, 0, 1);
  return only(
    graph.operation('Reshape', [x], {}, () => ({
      outputs: graph.node('Unsqueeze', [x, graph.integers([axis])], [{ type: x.type, shape }]),
    })),
  );
}

/** `x` without its dimension of 1 at `axis`. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const { graph } = x;
  const position = normalizeAxis('Squeeze', x, axis);
  if (x.shape[position] !== 1) throw new ShapeError('Squeeze', [x], `axis ${axis} is not 1`);
  const shape = x.shape.toSpliced(position, 1);
  return only(
    graph.operation('Reshape', [x], {}, () => ({
      outputs: graph.node('Squeeze', [x, graph.integers([axis])], [{ type: x.type, shape }]),
    })),
  );
}

/** `x` cut along `axis` into `count` equal parts. */
export function split(x: Tensor, axis: number, count: number): readonly Tensor[] {
  const { graph } = x;
  const position = normalizeAxis('Split', x, axis);
  const length = x.shape[position];
  if (typeof length !== 'number' || length % count !== 0) {
    throw new ShapeError('Split', [x], `axis ${axis} is not ${count} equal parts`);
  }
  const shape = x.shape.with(position, length / count);
  return graph.operation('Split', [x], { axis: position }, () => ({
    outputs: graph.node(
      'Split',
      [x],
      Array.from({ length: count }, () => ({ type: x.type, shape })),
      { axis: int(position), num_outputs: int(count) },
    ),
  }));
}

/** Tensors laid end to end along `axis`; all their other dimensions are the same. */
export function concatenate(tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  if (first === undefined) throw new Error('Concat: there is nothing to concatenate.');
  const position = normalizeAxis('Concat', first, axis);
  let length = 0;
  for (const tensor of tensors) {
    const dimension = dimensionAt('Concat', tensor, position);
    const alike = sameShape(
      tensor.shape.toSpliced(position, 1),
      first.shape.toSpliced(position, 1),
    );
    if (!alike || typeof dimension !== 'number' || tensor.type !== first.type) {
      throw new ShapeError('Concat', tensors, `these cannot be joined along axis ${axis}`);
    }
    length += dimension;
  }
  const { graph, type } = first;
  const output = { type, shape: first.shape.with(position, length) };
  return only(
    graph.operation('Concat', tensors, { axis: position }, () => ({
      outputs: graph.node('Concat', tensors, [output], { axis: int(position) }),
    })),
  );
}

/**
 * The rows of `x` that `indices` names, as in an embedding table.
 *
 * @param x `[rows, …]`
 * @param indices of any shape; each at least 0 and below `rows`
 * @returns `[...indices.shape, …]`
 */
export function gather(x: Tensor, indices: Tensor): Tensor {
  requireIndices('Gather', x, indices);
  if (x.rank === 0) throw new ShapeError('Gather', [x, indices], 'a scalar has no rows');
  const { graph } = x;
  const output = { type: x.type, shape: [...indices.shape, ...x.shape.slice(1)] };
  return only(
    graph.operation('Gather', [x, indices], {}, () => ({
      outputs: graph.node('Gather', [x, indices], [output]),
    })),
  );
}

/** How {@link moveRows} places rows, and how it takes their gradients back. */
export interface RowMove {
  /** For each row of the result, the row of `x` that it is: `int64` of any shape. */
  readonly rows: Tensor;
  /** For each row of `x`, the place in the result that it went to: `int64 [x rows]`. */
  readonly origins: Tensor;
  /** 1 for each row of `x` that is in the result and 0 for others: `[x rows, 1]`; absent: all are. */
  readonly present?: Tensor;
}

/**
 * Rows of `x` in another order or selection, each at most once except rows whose result nobody
 * reads (padding). It is a {@link gather} whose inverse is known, so its gradient is a gather too
 * and not a slow scatter.
 *
 * @param x `[rows, …]`
 * @returns `[...move.rows.shape, …]`
 */
export function moveRows(x: Tensor, move: RowMove): Tensor {
  requireRank('MoveRows', move.origins, 1);
  const inputs = [x, move.rows, move.origins, ...(move.present ? [move.present] : [])];
  return only(
    x.graph.operation('MoveRows', inputs, {}, () => ({ outputs: [gather(x, move.rows)] })),
  );
}

/** The run-time shape of `x`, as an `int64` vector. */
function shapeOf(x: Tensor): Tensor {
  return only(x.graph.node('Shape', [x], [{ type: 'int64', shape: [x.rank] }]));
}
