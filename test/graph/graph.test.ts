import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { InferenceSession } from 'onnxruntime-node';
import {
  add,
  concatenate,
  dropout,
  gather,
  gelu,
  Graph,
  layerNormalization,
  linear,
  linearCrossEntropy,
  matmul,
  moveRows,
  multiply,
  reduceMax,
  reduceMean,
  reduceSum,
  reshape,
  scale,
  serialize,
  softmax,
  split,
  squeeze,
  tanh,
  transpose,
  unsqueeze,
  where,
} from '../../src/graph/index.js';
import { float32, floatsOf, Session } from '../../src/runtime/index.js';
import { temporaryFolder } from '../support/files.js';

const graph = new Graph();
const input = (name: string, ...shape: (number | string)[]) => graph.input(name, 'float32', shape);
const matrix = input('matrix', 2, 3);
const cube = input('cube', 'batch', 'time', 6);
const vector = input('vector', 4);
const whole = graph.input('whole', 'int64', [2]);
const truth = graph.input('truth', 'bool', [2, 3]);
const half = graph.input('half', 'float16', [2, 3]);

describe('shape checking', () => {
  const refused: readonly (readonly [() => unknown, string])[] = [
    [
      () => add(matrix, vector),
      'Add(float32[2, 3], float32[4]): dimensions 3 and 4 do not broadcast',
    ],
    [
      () => add(cube, matrix),
      'Add(float32[batch, time, 6], float32[2, 3]): dimensions time and 2 do not broadcast',
    ],
    [() => multiply(matrix, half), 'Mul(float32[2, 3], float16[2, 3]): the element types differ'],
    [() => tanh(whole), 'Tanh(int64[2]): needs floating-point numbers'],
    [() => gelu(whole), 'Gelu(int64[2]): needs floating-point numbers'],
    [() => where(matrix, matrix, matrix), 'Where(float32[2, 3]): needs a bool'],
    [
      () => where(truth, matrix, input('taller', 2, 2, 3)),
      'Where(bool[2, 3], float32[2, 3], float32[2, 2, 3]): the two choices differ in shape',
    ],
    [
      () => matmul(matrix, matrix),
      'MatMul(float32[2, 3], float32[2, 3]): the inner dimensions 3 and 2 differ',
    ],
    [
      () => matmul(matrix, cube),
      'MatMul(float32[2, 3], float32[batch, time, 6]): the dimensions before the last two differ',
    ],
    [() => matmul(vector, vector), 'MatMul(float32[4], float32[4]): needs two dimensions or more'],
    [
      () => linear(cube, matrix, vector),
      'Linear(float32[batch, time, 6], float32[2, 3], float32[4]): the operands do not fit each other',
    ],
    [() => linear(cube, cube, vector), 'Linear(float32[batch, time, 6]): needs 2 dimensions'],
    [
      () => reshape(matrix, [4]),
      'Reshape(float32[2, 3]): the number of elements differs from that of [4]',
    ],
    [
      () => reshape(cube, ['rows', 'columns']),
      'Reshape(float32[batch, time, 6]): more than one dimension of [rows, columns] is unknown',
    ],
    [
      () => transpose(matrix, [0, 0]),
      'Transpose(float32[2, 3]): [0, 0] is not an order of its axes',
    ],
    [() => squeeze(matrix, 0), 'Squeeze(float32[2, 3]): axis 0 is not 1'],
    [() => unsqueeze(matrix, 4), 'Unsqueeze(float32[2, 3]): there is no axis 4'],
    [() => unsqueeze(matrix, -4), 'Unsqueeze(float32[2, 3]): there is no axis -4'],
    [() => split(matrix, 1, 2), 'Split(float32[2, 3]): axis 1 is not 2 equal parts'],
    [() => split(cube, 0, 2), 'Split(float32[batch, time, 6]): axis 0 is not 2 equal parts'],
    [() => split(matrix, 2, 1), 'Split(float32[2, 3]): there is no axis 2'],
    [
      () => concatenate([matrix, vector], 0),
      'Concat(float32[2, 3], float32[4]): these cannot be joined along axis 0',
    ],
    [
      () => gather(matrix, vector),
      'Gather(float32[2, 3], float32[4]): needs int32 or int64 indices',
    ],
    [() => gather(graph.scalar(1), whole), 'Gather(float32[], int64[2]): a scalar has no rows'],
    [
      () => moveRows(matrix, { rows: whole, origins: matrix }),
      'MoveRows(float32[2, 3]): needs 1 dimensions',
    ],
    [() => reduceSum(matrix, [2]), 'ReduceSum(float32[2, 3]): there is no axis 2'],
    [() => reduceMax(whole, [0]), 'ReduceMax(int64[2]): needs floating-point numbers'],
    [
      () => layerNormalization(matrix, vector, vector, 1e-5),
      'LayerNormalization(float32[2, 3], float32[4], float32[4]): the widths differ',
    ],
    [
      () => dropout(matrix, graph.input('mask', 'bool', [2, 3]), 1),
      'Dropout(float32[2, 3]): the ratio 1 is not above 0 and below 1',
    ],
    [
      () => dropout(matrix, vector, 0.5),
      'Dropout(float32[2, 3], float32[4]): the mask must be bool and of the same shape',
    ],
    [
      () => linearCrossEntropy(matrix, input('narrow', 5, 2), whole),
      'MatMul(float32[2, 3], float32[5, 2]): the inner dimensions 3 and 2 differ',
    ],
    [
      () => linearCrossEntropy(matrix, input('head', 5, 3), graph.integers([1])),
      'LinearCrossEntropy(float32[2, 3], int64[1]): needs one label a row',
    ],
  ];
  for (const [build, message] of refused) {
    it(message, () => {
      assert.throws(build, { name: 'ShapeError', message });
    });
  }

  it('tells tensors of another graph', () => {
    const other = new Graph().input('other', 'float32', [2, 3]);
    assert.throws(() => add(matrix, other), {
      name: 'ShapeError',
      message: 'Add(float32[2, 3]): other belongs to another graph',
    });
  });

  it('works out the shapes of results, names included', () => {
    assert.deepEqual(add(cube, input('column', 1, 6)).shape, ['batch', 'time', 6]);
    assert.deepEqual(matmul(cube, cube, { transposeB: true }).shape, ['batch', 'time', 'time']);
    assert.deepEqual(reshape(cube, ['batch', 'time', 2, 3]).shape, ['batch', 'time', 2, 3]);
    assert.deepEqual(reduceSum(cube, [-1, 0]).shape, ['time']);
    assert.deepEqual(reduceMean(cube, [1], true).shape, ['batch', 1, 6]);
    assert.deepEqual(gather(matrix, graph.input('ids', 'int64', ['a', 'b'])).shape, ['a', 'b', 3]);
    assert.deepEqual(unsqueeze(matrix, -1).shape, [2, 3, 1]);
  });
});

describe('Graph', () => {
  it('makes a file that ONNX Runtime loads and runs', async (context) => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows', 2]);
    const [left, right] = split(x, 1, 2);
    assert.ok(left !== undefined && right !== undefined);
    graph.output('left', left);
    graph.output('product', multiply(left, right));
    graph.output('share', softmax(x));
    const path = join(await temporaryFolder(context), 'graph.onnx');
    await writeFile(path, serialize(graph));
    const session = await InferenceSession.create(path);
    assert.deepEqual(session.inputNames, ['x']);
    assert.deepEqual(session.outputNames, ['left', 'product', 'share']);
    const metadata = session.inputMetadata[0];
    assert.ok(metadata?.isTensor === true);
    assert.deepEqual([metadata.type, [...metadata.shape]], ['float32', ['rows', 2]]);
    const results = await session.run({ x: float32(Float32Array.of(2, 5, 3, 3), [2, 2]) });
    assert.deepEqual([...floatsOf(results.left)], [2, 3]);
    assert.deepEqual([...floatsOf(results.product)], [10, 9]);
    assert.deepEqual([...floatsOf(results.share)].slice(2), [0.5, 0.5]);
    await session.release();
  });

  it('puts one tensor out under two names, and an input as it is', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [2]);
    const y = scale(x, 2);
    graph.output('first', y);
    graph.output('second', y);
    graph.output('again', x);
    graph.output('further', add(y, x));
    assert.equal(graph.nameOf(y), 'first');
    await using session = await Session.create(graph, { threads: 1 });
    const results = await session.run(
      { x: float32(Float32Array.of(1, 2), [2]) },
      { first: null, second: null, again: null, further: null },
    );
    assert.deepEqual([...floatsOf(results.first)], [2, 4]);
    assert.deepEqual([...floatsOf(results.second)], [2, 4]);
    assert.deepEqual([...floatsOf(results.again)], [1, 2]);
    assert.deepEqual([...floatsOf(results.further)], [3, 6]);
  });

  it('refuses a name twice, of inputs as of outputs', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [2]);
    const message = 'The graph already has a tensor named x.';
    assert.throws(() => graph.input('x', 'float32', [3]), { message });
    assert.throws(
      () => {
        graph.output('x', tanh(x));
      },
      { message },
    );
  });

  it('holds each constant once', () => {
    const graph = new Graph();
    assert.equal(graph.scalar(0.5), graph.scalar(0.5));
    assert.equal(graph.integers([1, 2]), graph.integers([1, 2]));
    assert.notEqual(graph.integers([1]), graph.integers([1, 1]));
    assert.notEqual(graph.integers([11]), graph.integers([1, 1]));
    assert.notEqual(graph.scalar(0), graph.scalar(-0));
    assert.notEqual(graph.boolean(true), graph.scalar(1));
    assert.equal(graph.initializers.length, 9);
  });

  it('reads constants of every kind as they were given', async () => {
    const graph = new Graph();
    graph.output('scalar', graph.scalar(-1.5));
    graph.output('integers', graph.integers([-(2 ** 40), 3]));
    graph.output('boolean', graph.boolean(true));
    await using session = await Session.create(graph);
    const results = await session.run({}, { scalar: null, integers: null, boolean: null });
    assert.deepEqual([...floatsOf(results.scalar)], [-1.5]);
    assert.deepEqual(results.integers?.data, BigInt64Array.of(-(2n ** 40n), 3n));
    assert.deepEqual(results.boolean?.data, Uint8Array.of(1));
  });

  it('reads constants from a file beside it', async (context) => {
    const folder = await temporaryFolder(context);
    const numbers = Float32Array.of(9, 9, 1, 2, 3, 4);
    await writeFile(join(folder, 'weights.bin'), new Uint8Array(numbers.buffer));
    const graph = new Graph();
    const data = { location: 'weights.bin', offset: 8, length: 16 };
    const weights = graph.external('weights', 'float32', [2, 2], data);
    graph.output('y', scale(weights, 10));
    const path = join(folder, 'graph.onnx');
    await writeFile(path, serialize(graph));
    const session = await InferenceSession.create(path);
    assert.deepEqual([...floatsOf((await session.run({})).y)], [10, 20, 30, 40]);
    await session.release();
  });

  it('reduces over no axis to the same numbers', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [2]);
    graph.output('sum', reduceSum(x, []));
    graph.output('whole', reduceSum(x));
    await using session = await Session.create(graph, { threads: 1 });
    const feeds = { x: float32(Float32Array.of(1, 2), [2]) };
    const results = await session.run(feeds, { sum: null, whole: null });
    assert.deepEqual([...floatsOf(results.sum)], [1, 2]);
    assert.deepEqual([...floatsOf(results.whole)], [3]);
  });
});
