import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { range } from '../../src/base/arrays.js';
import { learningRateAt, type ScheduleName, SCHEDULES } from '../../src/training/index.js';

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
