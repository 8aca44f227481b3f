import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LossScale } from '../../src/training/loss-scale.js';

function take(scale: LossScale, steps: number, overflowed = false): number {
  for (let step = 0; step < steps; step++) scale.update(overflowed);
  return scale.state.lossScale;
}

describe('LossScale', () => {
  it('starts at 65536, and is doubled after each thousand steps without overflow', () => {
    const scale = new LossScale(0);
    assert.equal(take(scale, 999), 2 ** 16);
    assert.equal(take(scale, 1), 2 ** 17);
    assert.equal(take(scale, 999), 2 ** 17);
    assert.equal(take(scale, 1), 2 ** 18);
  });

  it('is halved by each overflow, down to 1, and counts anew from there', () => {
    const scale = new LossScale(0);
    assert.equal(take(scale, 600), 2 ** 16);
    assert.equal(take(scale, 2, true), 2 ** 14);
    assert.equal(take(scale, 999), 2 ** 14);
    assert.equal(take(scale, 1), 2 ** 15);
    assert.equal(take(scale, 40, true), 1);
  });

  it('goes on where it stood', () => {
    const scale = new LossScale(0, { lossScale: 64, goodSteps: 998 });
    assert.equal(take(scale, 1), 64);
    assert.equal(take(scale, 1), 128);
  });

  it('stays as it is where it was given', () => {
    const scale = new LossScale(128);
    assert.equal(take(scale, 1, true), 128);
    assert.equal(take(scale, 2000), 128);
  });
});
