import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at, range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import {
  Adam,
  type AdamOptions,
  decaysInOriginal,
  LossModel,
  LossSum,
  makeBatch,
} from '../../src/training/index.js';
import { toGoldenExample } from '../support/examples.js';
import { goldenJson, goldenModel, goldenParameters, goldenRow } from '../support/golden.js';
import { assertClose } from '../support/numbers.js';

const runSchema = z.object({
  parameters_file: z.string(),
  float64: z.object({
    loss_before_step: z.array(z.number()),
    loss_after_last_step: z.array(z.number()),
    norms_before_clipping: z.array(z.object({ global_norm: z.number() })),
  }),
});
const goldenSchema = z.object({
  learning_rate: z.number(),
  decayed_parameters_when_named: z.array(z.string()),
  batch_a: z.array(goldenRow),
  batch_b: z.array(goldenRow),
  runs: z.object({
    'ten-steps-original': runSchema,
    'ten-steps-original-fp16-rule': runSchema,
  }),
});

/** The original's two optimizers; ours by default is that of its default flags. */
const variants: readonly (readonly [keyof z.infer<typeof goldenSchema>['runs'], AdamOptions])[] = [
  ['ten-steps-original', { clipping: 'tensor', epsilon: 1e-6, decays: () => true }],
  ['ten-steps-original-fp16-rule', {}],
];

describe('Adam', () => {
  for (const [name, options] of variants) {
    it(`takes ten steps as PyTorch does: ${name}`, async () => {
      const golden = await goldenJson(goldenSchema, 'gpt2', 'ten-steps.json');
      const expected = golden.runs[name].float64;
      const parameters = await goldenModel('tiny');
      const { config } = parameters;
      const batches = [golden.batch_a, golden.batch_b].map((rows) =>
        makeBatch(rows.map(toGoldenExample)),
      );
      const adam = new Adam(parameters.layout, options);
      await using model = await LossModel.forTraining(parameters, { threads: 1 });
      const losses: number[] = [];
      const norms: number[] = [];
      for (const step of range(0, 10)) {
        const batch = at(batches, step % 2);
        const gradients = new Parameters(config);
        const total = new LossSum();
        total.add(batch, await model.backward(batch, 1 / batch.labels.length, gradients));
        losses.push(total.result.loss);
        norms.push(adam.step(parameters, gradients, golden.learning_rate).gradientNorm);
      }
      assertClose(losses, expected.loss_before_step, 1e-6, 'losses');
      const expectedNorms = expected.norms_before_clipping.map(({ global_norm }) => global_norm);
      assertClose(norms, expectedNorms, 1e-5, 'norms');
      await using evaluator = await LossModel.forEvaluation(parameters, { threads: 1 });
      const last: number[] = [];
      for (const batch of batches) {
        const total = new LossSum();
        total.add(batch, await evaluator.losses(batch));
        last.push(total.result.loss);
      }
      assertClose(last, expected.loss_after_last_step, 1e-6, 'losses after the last step');

      const reference = await goldenParameters(config, 'gpt2', golden.runs[name].parameters_file);
      for (const parameter of parameters.layout) {
        // The keys' biases have a true gradient of 0; Adam makes steps of its rounding noise.
        const tolerance = parameter.name.endsWith('c_attn.bias') ? 1e-3 : 1e-5;
        assertClose(
          parameters.view(parameter),
          reference.view(parameter),
          tolerance,
          parameter.name,
        );
      }
    });
  }

  it('decays what the original decays', async () => {
    const golden = await goldenJson(goldenSchema, 'gpt2', 'ten-steps.json');
    const { layout } = await goldenModel('tiny');
    const decayed = layout.map(({ name }) => name).filter(decaysInOriginal);
    assert.deepEqual(decayed.sort(), golden.decayed_parameters_when_named.slice().sort());
  });

  for (const clipping of ['group', 'tensor'] as const) {
    it(`does what plain arithmetic does, clipping each ${clipping}, for lengths of all kinds`, () => {
      // 23 × 723 = 16,629 numbers: one more stretch of the kernel and a rest that is no multiple
      // of 4, as are the lengths of most others.
      const config = gpt2Config({
        vocab_size: 723,
        n_positions: 7,
        n_embd: 23,
        n_layer: 1,
        n_head: 1,
        n_inner: 5,
      });
      const options = { clipping, maxGradientNorm: 0.7, weightDecay: 0.05, epsilon: 1e-5 } as const;
      const parameters = Parameters.initialize(config, new Random(1));
      const plain = Float64Array.from(parameters.buffer);
      const moments = { first: plain.map(() => 0), second: plain.map(() => 0) };
      const adam = new Adam(parameters.layout, options);
      const random = new Random(2);
      for (const learningRate of [0.01, 0.003, 0.02]) {
        const gradients = new Parameters(config);
        for (const place of gradients.buffer.keys()) gradients.buffer[place] = random.normal() / 50;
        const before = gradients.buffer.slice();
        const { gradientNorm } = adam.step(parameters, gradients, learningRate);
        assert.deepEqual(gradients.buffer, before);

        const squares = (names: (name: string) => boolean) =>
          gradients.layout
            .filter(({ name }) => names(name))
            .flatMap((parameter) => [...gradients.view(parameter)])
            .reduce((total, value) => total + value * value, 0);
        assertClose([gradientNorm], [Math.sqrt(squares(() => true))], 1e-12, 'norm');
        for (const { name, offset, length } of parameters.layout) {
          const decays = decaysInOriginal(name);
          const norm = Math.sqrt(
            squares((other) =>
              clipping === 'tensor' ? other === name : decaysInOriginal(other) === decays,
            ),
          );
          const scale = Math.min(1, 0.7 / (norm + 1e-6));
          for (const place of range(offset, offset + length)) {
            const gradient = at(before, place) * scale;
            const first = 0.9 * at(moments.first, place) + 0.1 * gradient;
            const second = 0.999 * at(moments.second, place) + 0.001 * gradient * gradient;
            moments.first[place] = first;
            moments.second[place] = second;
            const decay = decays ? 0.05 * at(plain, place) : 0;
            plain[place] =
              at(plain, place) - learningRate * (first / (Math.sqrt(second) + 1e-5) + decay);
          }
        }
      }
      for (const parameter of parameters.layout) {
        const { name, offset, length } = parameter;
        const expected = plain.subarray(offset, offset + length);
        assertClose(parameters.view(parameter), expected, 1e-5, name);
      }
      assertClose(adam.firstMoments.buffer, moments.first, 1e-5, 'first moments');
      assertClose(adam.secondMoments.buffer, moments.second, 1e-5, 'second moments');
    });
  }
});
