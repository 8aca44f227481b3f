import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import * as operations from '../../src/graph/index.js';
import {
  differentiate,
  Graph,
  gradientRules,
  multiply,
  reduceSum,
  type Shape,
  type Tensor,
} from '../../src/graph/index.js';
import { float32, floatsOf, type HostTensors, Session } from '../../src/runtime/index.js';
import { given } from '../support/given.js';

/** An input to differentiate by. */
interface Operand {
  readonly shape: readonly number[];
  /** The shape as the graph is told it, where that has names. */
  readonly named?: Shape;
  /** Its numbers lie between these; −2 and 2. */
  readonly between?: readonly [number, number];
}

/** A function made of one operation, whose gradients are to be checked. */
interface Case {
  /** The gradient rule that it is for. */
  readonly rule: string;
  readonly about: string;
  readonly operands: readonly Operand[];
  readonly build: (tensors: readonly Tensor[], graph: Graph) => Tensor;
  /** How far numbers are moved to see what changes. */
  readonly step?: number;
}

/** Truth values: `bool [2, 3]`. */
function choices(graph: Graph): Tensor {
  const flags = [1, 0, 0, 0, 1, 1].map((value) => operations.unsqueeze(graph.scalar(value), 0));
  return operations.cast(operations.reshape(operations.concatenate(flags, 0), [2, 3]), 'bool');
}

const on = (...shape: number[]): Operand => ({ shape });
const positive = (...shape: number[]): Operand => ({ shape, between: [1, 3] });

function unary(rule: string, build: (x: Tensor) => Tensor, operand = on(2, 3)): Case {
  return { rule, about: 'x', operands: [operand], build: ([x]) => build(given(x)) };
}

function binary(rule: string, build: (a: Tensor, b: Tensor) => Tensor, second = on): Case[] {
  const shapes: readonly (readonly [string, readonly number[], readonly number[]])[] = [
    ['equal shapes', [2, 3], [2, 3]],
    ['b has fewer dimensions', [2, 3], [3]],
    ['a has fewer dimensions', [3], [2, 3]],
    ['both are stretched', [2, 1, 2], [1, 3, 1]],
    ['b is a scalar', [2, 2], []],
    ['a is a scalar', [], [4]],
  ];
  return shapes.map(([about, a, b]) => ({
    rule,
    about,
    operands: [on(...a), second(...b)],
    build: ([x, y]) => build(given(x), given(y)),
  }));
}

function matmulCases(): Case[] {
  return [[], [2], [2, 2]].flatMap((batch) =>
    [false, true].flatMap((transposeA) =>
      [false, true].map((transposeB): Case => ({
        rule: 'MatMul',
        about: `${batch.length + 2} dimensions, ${transposeA ? 'aᵀ' : 'a'} ${transposeB ? 'bᵀ' : 'b'}`,
        operands: [
          on(...batch, ...(transposeA ? [3, 2] : [2, 3])),
          on(...batch, ...(transposeB ? [4, 3] : [3, 4])),
        ],
        build: ([a, b]) =>
          operations.matmul(given(a), given(b), { transposeA, transposeB, alpha: 0.5 }),
      })),
    ),
  );
}

function moveCase(
  about: string,
  rows: readonly number[],
  shape: readonly number[],
  origins: readonly number[],
  present?: readonly number[],
): Case {
  return {
    rule: 'MoveRows',
    about,
    operands: [on(origins.length, 2)],
    build: ([x], graph) => {
      const whole = (values: readonly number[], to: readonly number[]) =>
        operations.reshape(graph.integers(values), to);
      const move = { rows: whole(rows, shape), origins: graph.integers(origins) };
      if (present === undefined) return operations.moveRows(given(x), move);
      const shares = present.map((value) => operations.unsqueeze(graph.scalar(value), 0));
      const column = operations.unsqueeze(operations.concatenate(shares, 0), -1);
      return operations.moveRows(given(x), { ...move, present: column });
    },
  };
}

const cases: readonly Case[] = [
  ...binary('Add', operations.add),
  ...binary('Sub', operations.subtract),
  ...binary('Mul', operations.multiply),
  ...binary('Div', operations.divide, positive),
  {
    rule: 'Mul',
    about: 'the same tensor twice',
    operands: [on(3)],
    build: ([x]) => operations.multiply(given(x), given(x)),
  },
  {
    rule: 'Add',
    about: 'named dimensions, one of them stretched',
    operands: [
      { shape: [2, 3], named: ['batch', 'width'] },
      { shape: [3], named: ['width'] },
    ],
    build: ([a, b]) => operations.add(given(a), given(b)),
  },
  unary('Neg', operations.negate),
  unary('Exp', operations.exponential),
  unary('Log', operations.logarithm, positive(2, 3)),
  unary('Sqrt', operations.squareRoot, positive(2, 3)),
  unary('Tanh', operations.tanh),
  unary('Sigmoid', operations.sigmoid),
  unary('Gelu', operations.gelu, { shape: [3, 4], between: [-4, 4] }),
  ...[[2, 3], [3], []].map((shape): Case => ({
    rule: 'Where',
    about: `choices of shape [${shape.join()}]`,
    operands: [on(...shape), on(...shape)],
    build: ([a, b], graph) => operations.where(choices(graph), given(a), given(b)),
  })),
  {
    rule: 'Cast',
    about: 'to half precision and back; exact, because all numbers are multiples of 1/8',
    operands: [on(2, 3)],
    build: ([x]) => operations.cast(operations.cast(given(x), 'float16'), 'float32'),
    step: 0.125,
  },
  ...matmulCases(),
  {
    rule: 'MatMul',
    about: 'named dimensions',
    operands: [
      { shape: [2, 3, 2], named: ['batch', 'time', 2] },
      { shape: [2, 3, 2], named: ['batch', 'time', 2] },
    ],
    build: ([a, b]) => operations.matmul(given(a), given(b), { transposeB: true }),
  },
  ...[
    [4, 3],
    [2, 2, 3],
  ].map((shape): Case => ({
    rule: 'Linear',
    about: `${shape.length} dimensions`,
    operands: [on(...shape), on(3, 2), on(2)],
    build: ([x, weight, bias]) => operations.linear(given(x), given(weight), given(bias)),
  })),
  {
    rule: 'Linear',
    about: 'named dimensions',
    operands: [{ shape: [2, 2, 3], named: ['batch', 'time', 3] }, on(3, 2), on(2)],
    build: ([x, weight, bias]) => operations.linear(given(x), given(weight), given(bias)),
  },
  {
    rule: 'Reshape',
    about: 'reshape',
    operands: [{ shape: [2, 6], named: ['batch', 6] }],
    build: ([x]) => operations.reshape(given(x), ['batch', 3, 2]),
  },
  {
    rule: 'Reshape',
    about: 'squeeze and unsqueeze',
    operands: [on(2, 1, 3)],
    build: ([x]) => operations.unsqueeze(operations.squeeze(given(x), 1), -1),
  },
  {
    rule: 'Expand',
    about: 'along an old and a new dimension',
    operands: [on(3, 1), on(2, 3, 2)],
    build: ([x, like]) => operations.add(operations.expandLike(given(x), given(like)), given(like)),
  },
  {
    rule: 'Transpose',
    about: 'an order that is not its own inverse',
    operands: [on(2, 3, 2)],
    build: ([x]) => operations.transpose(given(x), [1, 2, 0]),
  },
  {
    rule: 'Split',
    about: 'all parts used',
    operands: [on(2, 6)],
    build: ([x]) => {
      const [first, second, third] = operations.split(given(x), -1, 3);
      return operations.multiply(operations.multiply(given(first), given(second)), given(third));
    },
  },
  {
    rule: 'Split',
    about: 'one part unused',
    operands: [on(3, 2)],
    build: ([x]) => {
      const [first, , third] = operations.split(given(x), 0, 3);
      return operations.add(given(first), operations.multiply(given(third), given(third)));
    },
  },
  {
    rule: 'Concat',
    about: 'along the middle',
    operands: [on(2, 1, 2), on(2, 1, 2), on(2, 1, 2)],
    build: (parts) => operations.concatenate(parts, 1),
  },
  {
    rule: 'Gather',
    about: 'a row twice, one never',
    operands: [on(4, 2)],
    build: ([x], graph) => operations.gather(given(x), graph.integers([3, 0, 3])),
  },
  {
    rule: 'Gather',
    about: 'indices of two dimensions',
    operands: [on(3, 2)],
    build: ([x], graph) =>
      operations.gather(given(x), operations.reshape(graph.integers([1, 0, 1, 1]), [2, 2])),
  },
  moveCase('another order', [2, 0, 1], [3], [1, 2, 0]),
  moveCase('two dimensions', [2, 0, 3, 1], [2, 2], [1, 3, 0, 2]),
  moveCase('a selection', [2, 0], [2], [1, 0, 0], [1, 0, 1]),
  ...(['ReduceSum', 'ReduceMean'] as const).flatMap((rule) => {
    const reduce = rule === 'ReduceSum' ? reduceSum : operations.reduceMean;
    const axes = [[0], [1], [-1], [2, 0], [0, 1, 2], []];
    return axes.flatMap((list) =>
      [false, true].map((keep): Case => ({
        rule,
        about: `axes [${list.join()}]${keep ? ', kept' : ''}`,
        operands: [on(2, 3, 2)],
        build: ([x]) => reduce(given(x), list, keep),
      })),
    );
  }),
  unary('ReduceMean', (x) => operations.reduceMean(x), {
    shape: [2, 3],
    named: ['batch', 'time'],
  }),
  unary('Softmax', operations.softmax, on(2, 4)),
  unary('LogSoftmax', operations.logSoftmax, on(2, 4)),
  ...[
    [2, 4],
    [2, 2, 4],
  ].map((shape): Case => ({
    rule: 'LayerNormalization',
    about: `${shape.length} dimensions`,
    operands: [on(...shape), on(4), on(4)],
    build: ([x, weight, bias]) =>
      operations.layerNormalization(given(x), given(weight), given(bias), 1e-2),
    step: 1 / 32,
  })),
  {
    rule: 'Dropout',
    about: 'half of the numbers',
    operands: [on(2, 3)],
    build: ([x], graph) => operations.dropout(given(x), choices(graph), 0.25),
  },
  {
    rule: 'LinearCrossEntropy',
    about: 'a label twice',
    operands: [on(3, 2), on(4, 2)],
    build: ([hidden, weight], graph) =>
      operations.linearCrossEntropy(given(hidden), given(weight), graph.integers([1, 3, 1])),
  },
  {
    rule: 'LinearCrossEntropy',
    about: 'a weight in slices',
    operands: [on(3, 2), on(2, 2), on(2, 2), on(2, 2)],
    build: ([hidden, first, second, third], graph) => {
      const slices = [given(first), given(second), given(third)];
      const weight = operations.concatenate(slices, 0);
      const labels = graph.integers([1, 3, 1]);
      return operations.linearCrossEntropy(given(hidden), weight, labels, { slices });
    },
  },
];

describe('gradient rules', () => {
  it('each has a case here', () => {
    assert.deepEqual(
      [...new Set(cases.map(({ rule }) => rule))].sort(),
      Object.keys(gradientRules).sort(),
    );
  });

  for (const example of cases) {
    it(`${example.rule}, ${example.about}`, async () => {
      const fused = gradientGraph(example, true);
      await checkGradients(example, fused, true);
      const standard = gradientGraph(example, false);
      assert.ok(standard.nodes.every(({ domain }) => domain === ''));
      // Most operations are standard ones anyway, and need not be run a second time.
      if (fused.nodes.some(({ domain }) => domain !== '')) {
        await checkGradients(example, standard, false);
      }
    });
  }

  it('a Concat of unequal parts is refused, not differentiated wrongly', () => {
    const graph = new Graph();
    const a = graph.input('a', 'float32', [2]);
    const b = graph.input('b', 'float32', [3]);
    const loss = reduceSum(operations.concatenate([a, b], 0));
    assert.throws(() => differentiate(loss, [a]), {
      message: 'Concat: the gradient needs parts of equal length.',
    });
  });
});

/**
 * Compares the gradient of a weighted sum of the function's outputs with central differences of
 * fourth order: (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h. The function runs in float32 and the
 * sum is taken in double precision; with outputs near 1 and h of 1/16, rounding is about 1e-6 and
 * what the formula leaves out below 1e-4.
 */
async function checkGradients(example: Case, graph: Graph, fused: boolean): Promise<void> {
  const { rule, operands, build, step = 1 / 16 } = example;
  const { graph: forwardGraph } = buildGraph(operands, build, fused);
  assert.ok(
    forwardGraph.operations.some(({ name }) => name === rule),
    `the case does not use ${rule}`,
  );
  const draws = new Random(11);
  const values = operands.map(({ shape, between: [low, high] = [-2, 2] }) =>
    Float32Array.from({ length: sizeOf(shape) }, () => eighths(low, high, draws)),
  );
  const feeds = Object.fromEntries(
    operands.map(({ shape }, index) => [`x${index}`, float32(at(values, index), shape)]),
  );

  await using plain = await Session.create(forwardGraph, { threads: 1 });
  const y = (await plain.run(feeds, { y: null })).y;
  const weights = Float32Array.from(floatsOf(y), () => eighths(-2, 2, draws));
  const dimensions = [...(y?.dims ?? [])];

  await using backward = await Session.create(graph, { threads: 1 });
  const names = operands.map((_, index) => [`gradient${index}`, null] as const);
  const found = await backward.run(
    { ...feeds, weights: float32(weights, dimensions) },
    Object.fromEntries(names),
  );

  const evaluate = async (): Promise<number> => weighted(await plain.run(feeds, { y: null }));
  const weighted = (results: HostTensors) =>
    floatsOf(results.y).reduce((total, value, index) => total + value * at(weights, index), 0);

  for (const [index, operand] of values.entries()) {
    const gradient = found[`gradient${index}`];
    assert.deepEqual(gradient?.dims, operands[index]?.shape);
    for (const element of operand.keys()) {
      const start = at(operand, element);
      const moved = async (distance: number) => {
        operand[element] = start + distance;
        return evaluate();
      };
      const near = (await moved(step)) - (await moved(-step));
      const far = (await moved(2 * step)) - (await moved(-2 * step));
      operand[element] = start;
      const expected = (8 * near - far) / (12 * step);
      const actual = at(floatsOf(gradient), element);
      const difference = Math.abs(actual - expected);
      assert.ok(
        difference <= 1e-3 * Math.max(1, Math.abs(expected)),
        `input ${index}, element ${element}: ${actual}, by differences ${expected}`,
      );
    }
  }
}

/** The case's function with the gradients of its outputs' weighted sum. */
function gradientGraph({ operands, build }: Case, fused: boolean): Graph {
  const { graph, inputs, output } = buildGraph(operands, build, fused);
  const share = graph.input('weights', 'float32', output.shape);
  const gradients = differentiate(reduceSum(multiply(output, share)), inputs, { dense: true });
  for (const [index, { dense, rows }] of gradients.entries()) {
    assert.deepEqual(rows, []);
    graph.output(`gradient${index}`, given(dense));
  }
  return graph;
}

function buildGraph(operands: readonly Operand[], build: Case['build'], fused: boolean) {
  const graph = new Graph({ fused });
  const inputs = operands.map(({ shape, named = shape }, index) =>
    graph.input(`x${index}`, 'float32', named),
  );
  const output = build(inputs, graph);
  graph.output('y', output);
  return { graph, inputs, output };
}

/** A random multiple of 1/8. */
function eighths(low: number, high: number, random: Random): number {
  return low + random.below((high - low) * 8 + 1) / 8;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
