import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import * as operations from '../../src/graph/index.js';
import { differentiate, Graph, multiply, reduceSum } from '../../src/graph/index.js';
import { float32, floatsOf, int64, Session } from '../../src/runtime/index.js';
import { given } from '../support/given.js';

describe('differentiate', () => {
  it('adds up what sparse rows and dense parts say, as one tensor or apart', async () => {
    const run = async (dense: boolean) => {
      const graph = new Graph();
      const table = graph.input('table', 'float32', [4, 2]);
      const indices = graph.input('indices', 'int64', ['n']);
      const looked = operations.gather(table, indices);
      const scores = operations.matmul(looked, table, { transposeB: true });
      const [gradient] = differentiate(reduceSum(operations.tanh(scores)), [table], { dense });
      assert.ok(gradient !== undefined);
      const outputs: Record<string, null> = {};
      if (gradient.dense !== undefined) {
        graph.output('dense', gradient.dense);
        outputs.dense = null;
      }
      for (const [index, { rows, values }] of gradient.rows.entries()) {
        assert.equal(rows, indices);
        graph.output(`rows${index}`, values);
        outputs[`rows${index}`] = null;
      }
      await using session = await Session.create(graph, { threads: 1 });
      const results = await session.run(
        {
          table: float32(
            Float32Array.from(range(0, 8), (value) => value / 8 - 0.4),
            [4, 2],
          ),
          indices: int64([2, 0, 2], [3]),
        },
        outputs,
      );
      return { results, count: gradient.rows.length };
    };
    const whole = await run(true);
    const parts = await run(false);
    assert.equal(whole.count, 0);
    assert.equal(parts.count, 1);
    const sum = floatsOf(parts.results.dense).slice();
    for (const [index, row] of [2, 0, 2].entries()) {
      for (const column of [0, 1]) {
        const place = row * 2 + column;
        sum[place] = at(sum, place) + at(floatsOf(parts.results.rows0), index * 2 + column);
      }
    }
    const expected = floatsOf(whole.results.dense);
    for (const [index, value] of sum.entries()) {
      assert.ok(Math.abs(value - at(expected, index)) < 1e-6, `element ${index}`);
    }
  });

  it('names the operation that has no rule', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [2, 3]);
    const loss = reduceSum(operations.reduceMax(x, [1]));
    assert.throws(() => differentiate(loss, [x]), { message: 'No gradient rule for ReduceMax.' });
    const [custom] = graph.operation('Sine', [x], {}, () => ({
      outputs: graph.node('Sin', [x], [x]),
    }));
    assert.throws(() => differentiate(reduceSum(given(custom)), [x]), {
      message: 'No gradient rule for Sine.',
    });
  });

  it('needs no rule for what is beside the way from the parameters to the loss', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [3]);
    const y = graph.input('y', 'float32', [3]);
    operations.reduceMax(x, [0]);
    const loss = reduceSum(multiply(x, operations.reduceMax(y, [0])));
    assert.equal(differentiate(loss, [x]).length, 1);
  });

  it('refuses a loss that is no scalar and parameters that it does not depend on', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [3]);
    const y = graph.input('y', 'float32', [3]);
    assert.throws(() => differentiate(x, [x]), {
      name: 'ShapeError',
      message: 'differentiate(float32[3]): the loss must be a scalar',
    });
    const loss = reduceSum(x);
    assert.throws(() => differentiate(loss, [x, y]), {
      message: `differentiate: ${loss.name} does not depend on y.`,
    });
    assert.throws(() => differentiate(loss, [y]), {
      message: `differentiate: ${loss.name} does not depend on any of the parameters.`,
    });
  });
});
