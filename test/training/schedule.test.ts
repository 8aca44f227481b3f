import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at, range, sum } from '../../src/base/arrays.js';
import { learningRateAt, type ScheduleName, SCHEDULES } from '../../src/training/index.js';
import { goldenJson } from '../support/golden.js';
import { assertClose } from '../support/numbers.js';

const options = {
  learningRate: 1e-2,
  steps: 100,
  warmupSteps: 16,
  warmupProportion: 0.1,
  width: 64,
};

describe('learningRateAt', () => {
  // For noam, by hand: 64^-0.5 = 1/8; rising, step · 16^-1.5 = step / 64; falling, step^-0.5.
  const values: readonly (readonly [ScheduleName, number, number])[] = [
    ['None', 0, 0.01],
    ['None', 99, 0.01],
    ['noam', 0, (0.01 * 1e4) / 8 / 64],
    ['noam', 7, (0.01 * 1e4 * 8) / 8 / 64],
    ['noam', 15, (0.01 * 1e4) / 8 / 4],
    ['noam', 24, (0.01 * 1e4) / 8 / 5],
    ['noam', 99, (0.01 * 1e4) / 8 / 10],
    ['noamwd', 24, (0.01 * 1e4) / 8 / 5],
    ['noamwd', 399, (0.01 * 1e4) / 8 / 20],
    // Halved from step 500 on, and again each thousand further.
    ['noamwd', 498, (0.01 * 1e4) / 8 / Math.sqrt(499)],
    ['noamwd', 499, (0.01 * 1e4) / 8 / Math.sqrt(500) / 2],
    ['noamwd', 1599, (0.01 * 1e4) / 8 / 40 / 4],
    ['BERT', 0, 0],
    ['BERT', 5, 0.005],
    ['BERT', 10, 0.01],
    ['BERT', 55, 0.005],
    ['BERT', 100, 0],
    ['cosine', 0, 0.001],
    ['cosine', 9, 0.01],
    ['cosine', 54, 0.005],
    ['cosine', 99, 0],
  ];
  for (const [name, step, expected] of values) {
    it(`${name} at step ${step}`, () => {
      const rate = learningRateAt(name, step, options);
      assert.ok(Math.abs(rate - expected) < 1e-12, `${rate} is not ${expected}`);
    });
  }

  it('never gives a negative or endless rate within the steps', () => {
    for (const name of SCHEDULES) {
      for (const warmupProportion of [0, 0.1, 1]) {
        for (const step of range(0, options.steps)) {
          const rate = learningRateAt(name, step, { ...options, warmupProportion });
          assert.ok(
            rate >= 0 && Number.isFinite(rate),
            `${name} ${warmupProportion} ${step}: ${rate}`,
          );
        }
      }
    }
  });
});

const goldenSchema = z.object({
  total_steps: z.number(),
  cases: z.array(
    z.object({
      schedule: z.enum(SCHEDULES),
      learning_rate: z.number(),
      warmup_steps: z.number(),
      warmup_proportion: z.number(),
      n_embd: z.number(),
      sum: z.number(),
      weighted_sum: z.number(),
      steps: z.array(z.number()),
      rates: z.array(z.number()),
    }),
  ),
});

describe("the original's learning rates", () => {
  it('come out over 100,000 steps, for every schedule of it', async () => {
    const { total_steps, cases } = await goldenJson(goldenSchema, 'training', 'schedules.json');
    assert.deepEqual([...new Set(cases.map(({ schedule }) => schedule))], SCHEDULES.slice(0, 4));
    for (const golden of cases) {
      const rates = range(0, total_steps).map((step) =>
        learningRateAt(golden.schedule, step, {
          learningRate: golden.learning_rate,
          steps: total_steps,
          warmupSteps: golden.warmup_steps,
          warmupProportion: golden.warmup_proportion,
          width: golden.n_embd,
        }),
      );
      // Powers differ in the last digit between C's library and JavaScript's.
      for (const [index, step] of golden.steps.entries()) {
        const [found, expected] = [at(rates, step), at(golden.rates, index)];
        assert.ok(
          Math.abs(found - expected) <= 1e-15 * expected,
          `${golden.schedule} at step ${step}: ${found} is not ${expected}`,
        );
      }
      const weighted = rates.map((rate, step) => step * rate);
      assertClose([sum(rates)], [golden.sum], 1e-12, `${golden.schedule}: sum`);
      assertClose([sum(weighted)], [golden.weighted_sum], 1e-12, `${golden.schedule}: weighted`);
    }
  });
});
