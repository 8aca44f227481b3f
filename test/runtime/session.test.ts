import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import { add, Graph, scale, tanh } from '../../src/graph/index.js';
import { float32, floatsOf, HostTensor, int32, int64, Session } from '../../src/runtime/index.js';

function sumGraph(): Graph {
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['n']);
  const total = graph.input('total', 'float32', ['n']);
  graph.output('sum', add(x, total));
  graph.output('other', tanh(scale(x, 2)));
  return graph;
}

describe('Session', () => {
  it('writes outputs into the memory it is given', async () => {
    await using session = await Session.create(sumGraph(), { threads: 1 });
    const memory = new Float32Array(8);
    const place = float32(memory.subarray(2, 5), [3]);
    const feeds = {
      x: float32(Float32Array.of(1, 2, 3), [3]),
      total: float32(Float32Array.of(10, 20, 30), [3]),
    };
    const results = await session.run(feeds, { sum: place });
    assert.deepEqual([...memory], [0, 0, 11, 22, 33, 0, 0, 0]);
    assert.equal(floatsOf(results.sum).buffer, memory.buffer);
    assert.deepEqual(Object.keys(results), ['sum']);
  });

  it('reads an input and writes an output in the same memory, run after run', async () => {
    await using session = await Session.create(sumGraph(), { threads: 1 });
    const total = float32(Float32Array.of(10, 20, 30), [3]);
    const x = float32(Float32Array.of(1, 2, 3), [3]);
    for (let run = 1; run <= 3; run++) await session.run({ x, total }, { sum: total });
    assert.deepEqual([...floatsOf(total)], [13, 26, 39]);
  });

  it('sees what changed in the memory of an input between two runs', async () => {
    await using session = await Session.create(sumGraph(), { threads: 1 });
    const memory = Float32Array.of(1);
    const feeds = { x: float32(memory, [1]), total: float32(new Float32Array(1), [1]) };
    const first = await session.run(feeds, { sum: null });
    memory[0] = 5;
    const second = await session.run(feeds, { sum: null });
    assert.deepEqual([floatsOf(first.sum)[0], floatsOf(second.sum)[0]], [1, 5]);
  });

  it('writes in place only, if asked, and still says what is wrong', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['count']);
    const y = graph.input('y', 'float32', ['count']);
    graph.output('sum', add(x, y));
    await using session = await Session.create(graph, { threads: 1, inPlace: true });
    const ones = float32(Float32Array.of(1, 1, 1), [3]);
    const total = float32(Float32Array.of(5, 6, 7), [3]);
    const results = await session.run({ x: ones, y: total }, { sum: total });
    assert.equal(results.sum, total);
    await session.run({ x: ones, y: total }, { sum: total });
    assert.deepEqual(total.data, Float32Array.of(7, 8, 9));
    await assert.rejects(session.run({ x: ones }, { sum: total }), /input 'y' is missing/);
  });

  it('says what to do where a device is not there', async () => {
    await assert.rejects(Session.create(sumGraph(), { device: 'cuda' }), (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /^--device cuda: .+ or use --device cpu\.$/);
      assert.ok(!error.message.includes('\n'));
      return true;
    });
  });

  it('tells a graph of ours that cannot run from a device that is not there', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [1]);
    const [y] = graph.node('NoSuchOperator', [x], [x]);
    assert.ok(y !== undefined);
    graph.output('y', y);
    await assert.rejects(Session.create(graph), (error: unknown) => {
      assert.ok(error instanceof Error && !(error instanceof UserError));
      assert.match(error.message, /NoSuchOperator/);
      return true;
    });
  });
});

describe('tensors', () => {
  it('share the memory of floats and convert whole numbers', () => {
    const data = Float32Array.of(1, 2);
    assert.equal(float32(data, [2]).data, data);
    assert.equal(floatsOf(float32(data, [2])), data);
    assert.deepEqual(int64([1, -2], [2]).data, BigInt64Array.of(1n, -2n));
    assert.deepEqual(int32(Uint8Array.of(3, 4), [1, 2]).data, Int32Array.of(3, 4));
    assert.throws(() => floatsOf(new HostTensor('int32', [1], [1])), /got int32/);
    assert.throws(() => floatsOf(undefined), /got nothing/);
    assert.throws(() => float32(data, [3]));
  });
});
