import { int } from '../attributes.js';
import type { Tensor } from '../graph.js';
import { normalizeAxis } from '../shapes.js';
import type { Shape } from '../tensor.js';
import { only, requireFloat } from './checks.js';

/** The sum over `axes` (all of them if not given), which stay as dimensions of 1 if `keep`. */
export function reduceSum(x: Tensor, axes = allAxes(x), keep = false): Tensor {
  return reduce('ReduceSum', x, axes, keep);
}

/** The mean over `axes` (all of them if not given), which stay as dimensions of 1 if `keep`. */
export function reduceMean(x: Tensor, axes = allAxes(x), keep = false): Tensor {
  return reduce('ReduceMean', x, axes, keep);
}

/** The largest element over `axes`; not differentiable. */
export function reduceMax(x: Tensor, axes: readonly number[], keep = false): Tensor {
  return reduce('ReduceMax', x, axes, keep);
}

function allAxes(x: Tensor): readonly number[] {
  return x.shape.map((_, axis) => axis);
}

function reduce(name: string, x: Tensor, axes: readonly number[], keep: boolean): Tensor {
  requireFloat(name, x);
  const { graph } = x;
  const reduced = new Set(axes.map((axis) => normalizeAxis(name, x, axis)));
  const shape: Shape = keep
    ? x.shape.map((dimension, axis) => (reduced.has(axis) ? 1 : dimension))
    : x.shape.filter((_, axis) => !reduced.has(axis));
  return only(
    graph.operation(name, [x], { axes: [...reduced] }, () => ({
      outputs: graph.node(name, [x, graph.integers([...reduced])], [{ type: x.type, shape }], {
        keepdims: int(keep),
        // An empty list of axes means none, not all.
        noop_with_empty_axes: int(true),
      }),
    })),
  );
}
