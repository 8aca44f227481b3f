import { float, int } from '../attributes.js';
import type { Tensor } from '../graph.js';
import { dimensionAt, sameShape, ShapeError } from '../shapes.js';
import type { Dimension, Shape } from '../tensor.js';
import { only, requireFloat, requireIndices, requireRank } from './checks.js';
import { cast, exponential, multiply, scale, subtract, where } from './elementwise.js';
import { matmul } from './matrix.js';
import { reduceMax, reduceSum } from './reduction.js';
import { concatenate, gather, squeeze } from './structure.js';

/** `eˣ` normalised to sum to 1 over the last dimension. */
export function softmax(x: Tensor): Tensor {
  return overLastAxis('Softmax', x);
}

/** The logarithm of {@link softmax}, computed without overflow. */
export function logSoftmax(x: Tensor): Tensor {
  return overLastAxis('LogSoftmax', x);
}

function overLastAxis(name: string, x: Tensor): Tensor {
  requireFloat(name, x);
  return only(
    x.graph.operation(name, [x], {}, () => ({
      outputs: x.graph.node(name, [x], [x], { axis: int(-1) }),
    })),
  );
}

/**
 * Normalises each last-dimension vector to mean 0 and variance 1, then scales and shifts it
 * (Ba et al. 2016): `(x − mean) / √(variance + epsilon) · weight + bias`.
 *
 * @param x `[…, width]`
 * @param weight `[width]`
 * @param bias `[width]`
 */
export function layerNormalization(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  epsilon: number,
): Tensor {
  requireFloat('LayerNormalization', x);
  const width = [dimensionAt('LayerNormalization', x, -1)];
  if (!sameShape(weight.shape, width) || !sameShape(bias.shape, width)) {
    throw new ShapeError('LayerNormalization', [x, weight, bias], 'the widths differ');
  }
  const { graph, type } = x;
  const statistics = { type, shape: x.shape.with(-1, 1) };
  return only(
    graph.operation('LayerNormalization', [x, weight, bias], {}, () => {
      const [normalized, ...saved] = graph.node(
        'LayerNormalization',
        [x, weight, bias],
        [x, statistics, statistics],
        { axis: int(-1), epsilon: float(epsilon) },
      );
      return { outputs: normalized === undefined ? [] : [normalized], saved };
    }),
  );
}

/**
 * Zeroes the elements where `mask` is false and scales the others by `1 / (1 − ratio)`, which is
 * dropout (Srivastava et al. 2014) when each element of the mask is false with probability `ratio`.
 * ONNX's own Dropout draws its masks from a state that nobody can save, and slowly.
 *
 * @param mask `bool`, of the shape of `x`
 */
export function dropout(x: Tensor, mask: Tensor, ratio: number): Tensor {
  if (!(ratio > 0 && ratio < 1)) {
    throw new ShapeError('Dropout', [x], `the ratio ${ratio} is not above 0 and below 1`);
  }
  if (mask.type !== 'bool' || !sameShape(mask.shape, x.shape)) {
    throw new ShapeError('Dropout', [x, mask], 'the mask must be bool and of the same shape');
  }
  return only(
    x.graph.operation('Dropout', [x], { ratio }, () => ({
      outputs: [where(mask, scale(x, 1 / (1 - ratio)), x.graph.scalar(0, x.type))],
      saved: [mask],
    })),
  );
}

/** How {@link linearCrossEntropy} takes its weight. */
export interface LinearCrossEntropyOptions {
  /** The rows of the weight that are of the vocabulary; those behind have no probability. */
  readonly known?: Dimension | undefined;
  /**
   * The weight's rows, cut into slices that are multiplied one by one, because a product whose result
   * fits into the processor's caches is faster. The weight itself is then only looked up, and its
   * gradient is in two: that of the lookup, and those of the slices. None: it is taken whole.
   */
  readonly slices?: readonly Tensor[];
}

/**
 * The negative log-likelihood of each label under a linear layer without bias followed by a
 * softmax: `−log softmax(hidden · weightᵀ)[label]`.
 *
 * It is one operation, because its gradient with respect to the logits is the softmax less a
 * one-hot row. The softmax goes into both products as it is, and the labels' share is added as
 * sparse rows, so nothing of the size of the logits is written a third time.
 *
 * @param hidden `[rows, width]`; in half precision, only the products are
 * @param weight `[vocabulary, width]`
 * @param labels `int64 [rows]`
 * @returns `float32 [rows]`
 */
export function linearCrossEntropy(
  hidden: Tensor,
  weight: Tensor,
  labels: Tensor,
  { known = weight.shape[0], slices = [] }: LinearCrossEntropyOptions = {},
): Tensor {
  requireRank('LinearCrossEntropy', hidden, 2);
  requireIndices('LinearCrossEntropy', hidden, labels);
  const rows: Shape = hidden.shape.slice(0, 1);
  if (!sameShape(labels.shape, rows)) {
    throw new ShapeError('LinearCrossEntropy', [hidden, labels], 'needs one label a row');
  }
  const { graph } = hidden;
  const factors = slices.length === 0 ? [weight] : slices;
  return only(
    graph.operation('LinearCrossEntropy', [hidden, weight, labels, ...factors], {}, () => {
      const parts = factors.map((slice) => {
        const count = slice === weight ? known : slice.shape[0];
        return logSoftmaxParts(cast(logitsOf(hidden, slice, count), 'float32'));
      });
      const labelRows = gather(weight, labels);
      const single = (x: Tensor) => cast(x, 'float32');
      const labelLogits = reduceSum(multiply(single(hidden), single(labelRows)), [-1], true);
      const { logSumExp, shares } = joinParts(parts.map((part) => part.logSumExp));
      const losses = squeeze(subtract(logSumExp, labelLogits), -1);
      const probabilities = parts.map((part) => part.probabilities);
      return { outputs: [losses], saved: [labelRows, ...probabilities, ...shares] };
    }),
  );
}

/** The softmax over a slice of the vocabulary, and the logarithm of what it was divided by. */
function logSoftmaxParts(logits: Tensor): {
  readonly probabilities: Tensor;
  readonly logSumExp: Tensor;
} {
  const probabilities = softmax(logits);
  // max(probabilities) is exp(max(logits) − logsumexp), which gives logsumexp without a further
  // pass of exponentials over the vocabulary. ReduceLogSum over one element takes its logarithm as
  // Log does, but without vector instructions that round differently from those for what is left
  // at a list's end: a row's loss shall not depend on the rows beside it.
  const peak = reduceMax(probabilities, [-1], true);
  const inputs = [peak, logits.graph.integers([-1])];
  const logPeak = only(logits.graph.node('ReduceLogSum', inputs, [peak], { keepdims: int(true) }));
  return { probabilities, logSumExp: subtract(reduceMax(logits, [-1], true), logPeak) };
}

/**
 * The logarithm of the sum of exponentials over the whole vocabulary, of those over its slices, and
 * each slice's share of the probability (`[rows, 1]`; none if there is one slice only).
 */
function joinParts(parts: readonly Tensor[]): {
  readonly logSumExp: Tensor;
  readonly shares: readonly Tensor[];
} {
  const [first, ...others] = parts;
  if (first === undefined) throw new ShapeError('LinearCrossEntropy', [], 'needs a slice');
  if (others.length === 0) return { logSumExp: first, shares: [] };
  const { graph } = first;
  const inputs = [concatenate(parts, -1), graph.integers([-1])];
  const logSumExp = only(graph.node('ReduceLogSumExp', inputs, [first], { keepdims: int(true) }));
  return { logSumExp, shares: parts.map((part) => exponential(subtract(part, logSumExp))) };
}

/** So low that no probability is left, and still a number in half precision. */
const IMPOSSIBLE = -60_000;

function logitsOf(hidden: Tensor, weight: Tensor, known: Dimension | undefined): Tensor {
  const [rows] = hidden.shape;
  const [all] = weight.shape;
  if (known === all || typeof all !== 'number' || typeof known !== 'number') {
    return matmul(hidden, weight, { transposeB: true });
  }
  const { graph, type } = hidden;
  const offsets = new Float32Array(all).fill(IMPOSSIBLE, known);
  const inputs = [hidden, weight, cast(graph.floats(offsets), type)];
  const output = { type, shape: [rows ?? 0, all] };
  return only(graph.node('Gemm', inputs, [output], { transB: int(true) }));
}
