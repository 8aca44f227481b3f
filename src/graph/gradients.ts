import type { Operation, OperationOptions, Tensor } from './graph.js';
import {
  add,
  cast,
  divide,
  exponential,
  multiply,
  negate,
  scale,
  sigmoid,
  subtract,
  where,
} from './operations/elementwise.js';
import { matmul } from './operations/matrix.js';
import { reduceMean, reduceSum } from './operations/reduction.js';
import {
  concatenate,
  expandLike,
  gather,
  reshapeLike,
  split,
  transpose,
  unsqueeze,
} from './operations/structure.js';
import { sameShape } from './shapes.js';

/**
 * A gradient that is zero but for some rows: what a table looked up by index receives. The same
 * row may occur more than once; its values add up.
 */
export class RowGradient {
  /** `int64`, any shape. */
  readonly rows: Tensor;
  /** `[...rows.shape, …]` */
  readonly values: Tensor;

  constructor(rows: Tensor, values: Tensor) {
    this.rows = rows;
    this.values = values;
  }
}

/** What flows back to one input of an operation. */
export type Contribution = Tensor | RowGradient;

/** Makes the contributions to one input; called only if that input's gradient is wanted. */
export type InputRule = () => readonly Contribution[];

/**
 * Given an operation and the gradients of its outputs, says for each input how its gradient is
 * made; undefined for inputs that have none (indices, masks).
 */
export type GradientRule = (
  operation: Operation,
  gradients: readonly (Tensor | undefined)[],
) => readonly (InputRule | undefined)[];

/**
 * The gradient rules, one for each operation. In each, `x`, `a`, `b`… are inputs, `y` the output
 * and `dy` its gradient.
 */
export const gradientRules: Readonly<Record<string, GradientRule>> = {
  // Arithmetic

  Add: ({ inputs: [a, b] }, [dy]) => [() => sumTo(dy, a), () => sumTo(dy, b)],

  Sub: ({ inputs: [a, b] }, [dy]) => [() => sumTo(dy, a), () => sumTo(negate(given(dy)), b)],

  Mul: ({ inputs: [a, b] }, [dy]) => [
    () => sumTo(multiply(given(dy), given(b)), a),
    () => sumTo(multiply(given(dy), given(a)), b),
  ],

  Div: ({ inputs: [a, b], outputs: [y] }, [dy]) => [
    () => sumTo(divide(given(dy), given(b)), a),
    () => sumTo(negate(divide(multiply(given(dy), given(y)), given(b))), b),
  ],

  Neg: (_, [dy]) => [() => [negate(given(dy))]],

  Exp: ({ outputs: [y] }, [dy]) => [() => [multiply(given(dy), given(y))]],

  Log: ({ inputs: [x] }, [dy]) => [() => [divide(given(dy), given(x))]],

  Sqrt: ({ outputs: [y] }, [dy]) => [() => [scale(divide(given(dy), given(y)), 0.5)]],

  Tanh: ({ outputs: [y] }, [dy]) => [
    () => [multiply(given(dy), oneMinus(multiply(given(y), given(y))))],
  ],

  Sigmoid: ({ outputs: [y] }, [dy]) => [
    () => [multiply(given(dy), multiply(given(y), oneMinus(given(y))))],
  ],

  Gelu: ({ inputs: [x] }, [dy]) => [() => [multiply(given(dy), geluSlope(given(x)))]],

  Where: ({ inputs: [condition, a, b] }, [dy]) => [
    undefined,
    () => sumTo(where(given(condition), given(dy), zero(given(dy))), a),
    () => sumTo(where(given(condition), zero(given(dy)), given(dy)), b),
  ],

  Cast: ({ inputs: [x] }, [dy]) => [() => [cast(given(dy), given(x).type)]],

  // Matrices

  MatMul: ({ inputs: [a, b], options }, [dy]) => {
    const { transposeA = false, transposeB = false, alpha = 1 } = options;
    const product = (l: Tensor | undefined, r: Tensor | undefined, tl: boolean, tr: boolean) => [
      matmul(given(l), given(r), { transposeA: tl, transposeB: tr, alpha }),
    ];
    return [
      () => (transposeA ? product(b, dy, transposeB, true) : product(dy, b, false, !transposeB)),
      () => (transposeB ? product(dy, a, true, transposeA) : product(a, dy, !transposeA, false)),
    ];
  },

  // What sums over all rows is summed in single precision: in half, most of it would be lost.
  Linear: ({ inputs: [x, weight, bias] }, [dy]) => {
    const rows = (tensor: Tensor) => (tensor.rank === 2 ? tensor : asRows(tensor));
    const single = (tensor: Tensor | undefined) => rows(cast(given(tensor), 'float32'));
    return [
      () => [reshapeLike(matmul(rows(given(dy)), given(weight), { transposeB: true }), given(x))],
      () => [matmul(single(x), single(dy), { transposeA: true })],
      () => sumTo(single(dy), bias),
    ];
  },

  // Structure

  Reshape: ({ inputs: [x] }, [dy]) => [() => [reshapeLike(given(dy), given(x))]],

  Expand: ({ inputs: [x] }, [dy]) => [() => sumTo(dy, x)],

  Transpose: ({ options }, [dy]) => {
    const order = given(options.order);
    const inverse = order.map((_, axis) => order.indexOf(axis));
    return [() => [transpose(given(dy), inverse)]];
  },

  Split: ({ outputs, options }, gradients) => [
    () => [
      concatenate(
        outputs.map((y, part) => gradients[part] ?? scale(y, 0)),
        given(options.axis),
      ),
    ],
  ],

  Concat: ({ inputs, options }, [dy]) => {
    const axis = given(options.axis);
    const equal = inputs.every((x) => x.shape[axis] === inputs[0]?.shape[axis]);
    if (!equal) throw new Error('Concat: the gradient needs parts of equal length.');
    return inputs.map((_, part) => () => [given(split(given(dy), axis, inputs.length)[part])]);
  },

  Gather: ({ inputs: [, indices] }, [dy]) => [
    () => [new RowGradient(given(indices), given(dy))],
    undefined,
  ],

  MoveRows: ({ inputs: [x, rows, origins, present] }, [dy]) => [
    () => {
      const flat = given(rows).rank === 1 ? given(dy) : asRows(given(dy));
      const moved = gather(flat, given(origins));
      const kept = present && multiply(moved, cast(present, moved.type));
      return [reshapeLike(kept ?? moved, given(x))];
    },
    undefined,
    undefined,
    undefined,
  ],

  // Reductions

  ReduceSum: ({ inputs: [x], options }, [dy]) => [() => [spread(dy, x, options)]],

  ReduceMean: ({ inputs: [x], options }, [dy]) => [
    () => {
      const ones = expandLike(given(dy).graph.scalar(1, given(dy).type), given(x));
      const count = reduceSum(ones, given(options.axes), true);
      return [divide(spread(dy, x, options), count)];
    },
  ],

  // Networks

  Softmax: ({ outputs: [y] }, [dy]) => [
    () => {
      const mean = reduceSum(multiply(given(dy), given(y)), [-1], true);
      return [multiply(given(y), subtract(given(dy), mean))];
    },
  ],

  LogSoftmax: ({ outputs: [y] }, [dy]) => [
    () => {
      const total = reduceSum(given(dy), [-1], true);
      return [subtract(given(dy), multiply(exponential(given(y)), total))];
    },
  ],

  LayerNormalization: ({ inputs: [x, weight, bias], saved: [mean, inverseDeviation] }, [dy]) => {
    const normalized = multiply(subtract(given(x), given(mean)), given(inverseDeviation));
    return [
      () => {
        const slope = multiply(given(dy), given(weight));
        const level = reduceMean(slope, [-1], true);
        const tilt = multiply(normalized, reduceMean(multiply(slope, normalized), [-1], true));
        return [multiply(subtract(subtract(slope, level), tilt), given(inverseDeviation))];
      },
      () => sumTo(multiply(given(dy), normalized), weight),
      () => sumTo(dy, bias),
    ];
  },

  Dropout: ({ saved: [mask], options }, [dy]) => [
    () => {
      const scaled = scale(given(dy), 1 / (1 - given(options.ratio)));
      return [where(given(mask), scaled, zero(scaled))];
    },
  ],

  LinearCrossEntropy: ({ inputs, saved }, [dy]) => {
    const [hidden, , labels, ...slices] = inputs;
    const [labelRows, ...rest] = saved;
    const { type } = given(hidden);
    const share = unsqueeze(given(dy), -1);
    const scaledHidden = multiply(cast(given(hidden), 'float32'), share);
    // Each slice's softmax sums to 1; what it has of the whole vocabulary's goes to the smaller factor.
    const parts = slices.map((slice, index) => {
      const ofVocabulary = rest[slices.length + index];
      const weigh = (x: Tensor) => (ofVocabulary ? multiply(x, cast(ofVocabulary, x.type)) : x);
      return { slice, probabilities: given(rest[index]), weigh };
    });
    return [
      () => {
        const expected = parts.map(({ slice, probabilities, weigh }) =>
          weigh(matmul(cast(probabilities, type), slice)),
        );
        const difference = subtract(expected.reduce(add), given(labelRows));
        return [multiply(difference, cast(share, type))];
      },
      () => [new RowGradient(given(labels), negate(scaledHidden))],
      undefined,
      ...parts.map(({ probabilities, weigh }) => () => [
        matmul(probabilities, weigh(scaledHidden), { transposeA: true }),
      ]),
    ];
  },
};

/** What a rule knows to be there, because its operation always has it. */
function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('A gradient rule misses an operand.');
  return value;
}

/** `gradient` summed over the axes along which `input` was broadcast. */
function sumTo(gradient: Tensor | undefined, input: Tensor | undefined): readonly Tensor[] {
  const from = given(gradient);
  const to = given(input);
  if (sameShape(from.shape, to.shape)) return [from];
  const extra = from.rank - to.rank;
  const axes = from.shape.flatMap((dimension, axis) => {
    const target = axis < extra ? 1 : to.shape[axis - extra];
    return target === 1 && (dimension !== 1 || axis < extra) ? [axis] : [];
  });
  return [reshapeLike(axes.length === 0 ? from : reduceSum(from, axes, true), to)];
}

/** A reduction's gradient, laid over everything that was reduced. */
function spread(dy: Tensor | undefined, x: Tensor | undefined, options: OperationOptions): Tensor {
  const axes = [...given(options.axes)].sort((left, right) => left - right);
  let gradient = given(dy);
  if (gradient.rank !== given(x).rank) {
    for (const axis of axes) gradient = unsqueeze(gradient, axis);
  }
  return expandLike(gradient, given(x));
}

/** `[…, width]` as `[rows, width]`. */
function asRows(tensor: Tensor): Tensor {
  const { graph, type } = tensor;
  const width = tensor.shape.at(-1) ?? 1;
  const shape = [tensor.shape.slice(0, -1).join('·'), width];
  const vector = graph.integers([-1, typeof width === 'number' ? width : 0]);
  const [rows] = graph.node('Reshape', [tensor, vector], [{ type, shape }]);
  return given(rows);
}

function oneMinus(x: Tensor): Tensor {
  return subtract(x.graph.scalar(1, x.type), x);
}

function zero(like: Tensor): Tensor {
  return like.graph.scalar(0, like.type);
}

/**
 * The derivative of the tanh form of GELU. With `u = 2√(2/π) (1 + 0.044715 x²)` the function is
 * `x · σ(x u)`, because `(1 + tanh z) / 2 = σ(2z)`.
 */
function geluSlope(x: Tensor): Tensor {
  const slope = 2 * Math.sqrt(2 / Math.PI);
  const curvature = 0.044715;
  const constant = (value: number) => x.graph.scalar(value, x.type);
  const u = add(scale(multiply(x, x), slope * curvature), constant(slope));
  const gate = sigmoid(multiply(x, u));
  const argumentSlope = subtract(scale(u, 3), constant(2 * slope));
  const bend = multiply(multiply(x, oneMinus(gate)), argumentSlope);
  return multiply(gate, add(bend, constant(1)));
}
