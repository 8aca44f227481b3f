import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { at, range } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { Random } from '../../src/base/random.js';
import { Graph, RowGradient } from '../../src/graph/index.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { ALONE, float32, floatsOf, int64, Session } from '../../src/runtime/index.js';
import { gpt2Tokenizer } from '../../src/tokenizer/index.js';
import type { Example } from '../../src/dataset/index.js';
import { type BatchRounding, makeBatch } from '../../src/training/batch.js';
import {
  answered,
  DeviceLearner,
  type DeviceLearnerOptions,
} from '../../src/training/device-learner.js';
import { HostLearner } from '../../src/training/host-learner.js';
import type { Learner } from '../../src/training/learner.js';
import type { AdamOptions } from '../../src/training/optimizer.js';
import { rowSumFeeds, rowSums } from '../../src/training/row-sums.js';
import { learnerBatch, makeExamples, stepOn } from '../support/learning.js';

/** With widths and a vocabulary that no round number divides, and dropout. */
function model(): Parameters {
  const config = gpt2Config({
    n_layer: 2,
    n_embd: 36,
    n_head: 2,
    n_positions: 64,
    vocab_size: 301,
    initializer_range: 0.1,
  });
  return Parameters.initialize(config, new Random(1));
}

const common = { tokenTypes: true, seed: 3, threads: 1 };

/** The graphs of a device, on the CPU: what a GPU computes is compared in webgpu.test.ts. */
function onDevice(
  parameters: Parameters,
  options: Partial<DeviceLearnerOptions> = {},
): Promise<DeviceLearner> {
  return DeviceLearner.create(parameters, { device: 'cpu', ...common, ...options });
}

function onHost(parameters: Parameters, adam: AdamOptions = {}): Promise<HostLearner> {
  const checkpoint = { parameters, tokenizer: gpt2Tokenizer() };
  return HostLearner.create(checkpoint, { ...common, adam, processes: ALONE });
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  return range(0, a.length).reduce(
    (most, index) => Math.max(most, Math.abs((a[index] ?? NaN) - (b[index] ?? NaN))),
    0,
  );
}

async function losses(learner: Learner, steps: number): Promise<number[]> {
  const all: number[] = [];
  for (const number of range(0, steps)) {
    const report = await stepOn(learner, number);
    all.push(...report.losses.flatMap((list) => [...list]), report.gradientNorm);
  }
  return all;
}

describe('answered', () => {
  it('tells a device that failed from one that computes', () => {
    const losses = Float32Array.of(0, 2.5, 0);
    assert.equal(answered(losses), losses);
    assert.equal(answered(new Float32Array(0)).length, 0);
    assert.throws(
      () => answered(new Float32Array(3)),
      (error) => error instanceof UserError && error.message.includes('GPU has failed'),
    );
  });
});

describe('DeviceLearner', () => {
  for (const clipping of ['group', 'tensor'] as const) {
    it(`takes the steps of the CPU, accumulated gradients and dropout included (${clipping})`, async () => {
      const adam = { clipping };
      const here = model();
      const there = model();
      await using host = await onHost(here, adam);
      await using device = await onDevice(there, { adam });
      const expected = await losses(host, 10);
      assert.ok(largestDifference(await losses(device, 10), expected) < 1e-4);
      const batch = learnerBatch(99);
      assert.ok(largestDifference(await device.losses(batch), await host.losses(batch)) < 1e-4);
      await device.collectWeights();
      const { firstMoments, secondMoments } = await device.collectMoments();
      const moments = await host.collectMoments();
      assert.ok(largestDifference(firstMoments.buffer, moments.firstMoments.buffer) < 1e-6);
      assert.ok(largestDifference(secondMoments.buffer, moments.secondMoments.buffer) < 1e-8);
      // Where a gradient is nothing but rounding, Adam's quotient of it may be anything.
      assert.ok(largestDifference(there.buffer, here.buffer) < 1e-3);
    });
  }

  it('goes on bit for bit from weights and moments that were collected', async () => {
    const whole = model();
    await using one = await onDevice(whole);
    await losses(one, 4);
    await one.collectWeights();

    const parts = model();
    const first = await onDevice(parts);
    await losses(first, 2);
    await first.collectWeights();
    const moments = await first.collectMoments();
    await first[Symbol.asyncDispose]();
    await using second = await onDevice(parts, { moments });
    for (const number of [2, 3]) await stepOn(second, number);
    await second.collectWeights();
    assert.deepEqual(parts.buffer, whole.buffer);
  });

  it('trains in mixed precision as in single, within what half precision rounds', async () => {
    await using single = await onDevice(model());
    await using mixed = await onDevice(model(), { half: true });
    const [expected, actual] = [await losses(single, 5), await losses(mixed, 5)];
    const ratios = actual.map((value, index) => value / at(expected, index));
    const difference = largestDifference(ratios, new Array<number>(ratios.length).fill(1));
    assert.ok(difference > 0 && difference < 5e-3, `the difference is ${difference}`);
  });

  it('changes nothing in a step that overflows, and halves the scale', async () => {
    const parameters = model();
    const before = parameters.buffer.slice();
    await using learner = await onDevice(parameters, {
      half: true,
      lossScaleState: { lossScale: 2 ** 40, goodSteps: 7 },
    });
    const report = await stepOn(learner, 0);
    assert.equal(report.skipped, true);
    assert.deepEqual(learner.lossScale, { lossScale: 2 ** 39, goodSteps: 0 });
    await learner.collectWeights();
    assert.deepEqual(parameters.buffer, before);
    const { firstMoments } = await learner.collectMoments();
    assert.ok(firstMoments.buffer.every((value) => value === 0));
  });

  it('keeps a static scale, and takes the same steps with it', async () => {
    await using dynamic = await onDevice(model(), { half: true });
    await using fixed = await onDevice(model(), { half: true, lossScale: 2 ** 16 });
    assert.deepEqual(await losses(fixed, 2), await losses(dynamic, 2));
    assert.equal(fixed.lossScale?.lossScale, 2 ** 16);
  });
});

describe('rowSums', () => {
  it('adds up the values of each row of a table', async () => {
    const [rows, width] = [5, 3];
    const graph = new Graph();
    const looked = graph.input('looked', 'int64', ['values']);
    const values = graph.input('values', 'float32', ['values', width]);
    const part = new RowGradient(looked, values);
    graph.output('sums', rowSums(graph, 'table', rows, [part], width));
    // The look-ups themselves are known from the other inputs.
    await using session = await Session.create(graph, { threads: 1 });
    await fc.assert(
      fc.asyncProperty(
        // Up to more values of one row than one group of groups holds.
        fc.oneof(
          fc.array(fc.nat(rows - 1), { minLength: 1, maxLength: 60 }),
          fc.integer({ min: 4000, max: 9000 }).map((length) => new Array<number>(length).fill(2)),
        ),
        async (list) => {
          const numbers = Float32Array.from({ length: list.length * width }, (_, i) => i % 7);
          const expected = new Float32Array(rows * width);
          for (const [value, row] of list.entries()) {
            for (const column of range(0, width)) {
              expected[row * width + column] =
                at(expected, row * width + column) + at(numbers, value * width + column);
            }
          }
          const outputs = await session.run(
            {
              looked: int64(list, [list.length]),
              values: float32(numbers, [list.length, width]),
              ...rowSumFeeds('table', rows, Int32Array.from(list)),
            },
            { sums: null },
          );
          assert.deepEqual(floatsOf(outputs.sums), expected);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('batches for a device', () => {
  it('have lengths that come again, and the same losses and gradients', async () => {
    const { config } = model();
    const still = gpt2Config({ ...config, embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 });
    const learn = async (rounding: BatchRounding, examples: readonly Example[]) => {
      const parameters = Parameters.initialize(still, new Random(1));
      await using learner = await onDevice(parameters);
      const batch = makeBatch(examples, true, rounding);
      await learner.backward(batch, 1 / batch.labels.length, 0);
      const { losses, gradientNorm } = await learner.update(1e-3);
      const { firstMoments } = await learner.collectMoments();
      const held = await learner.losses(batch);
      return { batch, numbers: [...at(losses, 0), ...held, gradientNorm, ...firstMoments.buffer] };
    };
    const examples = makeExamples(0);
    // Examples of one length leave no place empty.
    for (const list of [examples, [at(examples, 0), at(examples, 0)]]) {
      const plain = await learn({}, list);
      const rounded = await learn({ time: 4, tokens: 32, labels: 32 }, list);
      assert.equal(rounded.batch.time % 4, 0);
      assert.equal(rounded.batch.feeds.ids?.dims[0], 32 * Math.ceil(plain.batch.tokens / 32));
      assert.equal(rounded.batch.tokens, plain.batch.tokens);
      assert.ok(largestDifference(rounded.numbers, plain.numbers) < 1e-5);
    }
  });
});
