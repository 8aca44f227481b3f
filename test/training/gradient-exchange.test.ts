import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { ALONE, type Communicator } from '../../src/runtime/index.js';
import { GradientExchange } from '../../src/training/gradient-exchange.js';
import { HostLearner, makeBatch } from '../../src/training/index.js';
import { gpt2Tokenizer } from '../../src/tokenizer/index.js';
import { randomExample } from '../support/examples.js';

const CONFIG = gpt2Config({ n_layer: 3, n_embd: 8, n_head: 2, n_positions: 16, vocab_size: 64 });

/** Another process that has the same gradients; writes down what was sent, by length. */
function twin(sent: number[]): Communicator {
  return {
    ...ALONE,
    size: 2,
    allReduceSum: (values) => {
      sent.push(values.length);
      for (const [index, value] of values.entries()) values[index] = 2 * value;
      return Promise.resolve();
    },
  };
}

function numbered(): Parameters {
  const gradients = new Parameters(CONFIG);
  for (const index of gradients.buffer.keys()) gradients.buffer[index] = index + 1;
  return gradients;
}

describe('GradientExchange', () => {
  it('sums every number once, whatever is sent early, in an order that all share', async () => {
    const orders: number[][] = [];
    for (const early of range(0, CONFIG.n_layer + 1)) {
      const gradients = numbered();
      const sent: number[] = [];
      const exchange = new GradientExchange(gradients, CONFIG.n_layer, twin(sent));
      for (const index of range(0, 2)) {
        for (const layer of range(0, early)) exchange.layerIsDone(CONFIG.n_layer - 1 - layer);
        assert.equal(sent.length, index * (CONFIG.n_layer + 2) + early);
        await exchange.finish();
      }
      assert.deepEqual(
        gradients.buffer,
        numbered().buffer.map((value) => 4 * value),
      );
      orders.push(sent);
    }
    for (const order of orders) assert.deepEqual(order, orders[0]);
  });

  it('refuses layers out of order', () => {
    const exchange = new GradientExchange(numbered(), CONFIG.n_layer, ALONE);
    assert.throws(() => {
      exchange.layerIsDone(0);
    }, /Layer 0 is not the next/);
  });

  it('fails where the step waits when a sum failed', async () => {
    const broken = { ...ALONE, allReduceSum: () => Promise.reject(new Error('the wire is cut')) };
    const exchange = new GradientExchange(numbered(), CONFIG.n_layer, broken);
    exchange.layerIsDone(CONFIG.n_layer - 1);
    await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(exchange.finish(), /the wire is cut/);
  });
});

describe('HostLearner with several processes', () => {
  it('sends a layer’s gradients on the way back of the last batch, and the rest after it', async () => {
    const tokenizer = gpt2Tokenizer();
    const batch = () =>
      makeBatch(range(5, 9).map((length) => randomExample(length, 64, new Random(length))));
    const trained = async (recompute: boolean) => {
      const sent: number[] = [];
      const parameters = Parameters.initialize(CONFIG, new Random(1));
      const options = { threads: 1, recompute, processes: twin(sent) };
      await using learner = await HostLearner.create({ parameters, tokenizer }, options);
      await learner.backward(batch(), 0.1, 0, false);
      assert.equal(sent.length, 0);
      await learner.backward(batch(), 0.1, 1, true);
      const early = sent.length;
      const { gradientNorm } = await learner.update(1e-3);
      return { early, sent: sent.length, gradientNorm, weights: parameters.buffer };
    };
    const whole = await trained(false);
    const layered = await trained(true);
    assert.deepEqual([whole.early, whole.sent], [0, 1]);
    assert.deepEqual([layered.early, layered.sent], [CONFIG.n_layer, CONFIG.n_layer + 2]);
    assert.equal(layered.gradientNorm, whole.gradientNorm);
    assert.deepEqual(layered.weights, whole.weights);
  });
});
