import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { fc } from '../support/properties.js';

describe('Random', () => {
  it('gives the same numbers for the same seed, and others for another', () => {
    const draws = (seed: number) => {
      const random = new Random(seed);
      return range(0, 20).map(() => random.uint32());
    };
    assert.deepEqual(draws(7), draws(7));
    const seeds = [0, 1, 2, 3, 2 ** 32, 2 ** 32 + 1, 2 ** 40];
    assert.equal(new Set(seeds.map((seed) => draws(seed).join())).size, seeds.length);
  });

  it('goes on where a saved state stood', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(50), (seed, skipped) => {
        const random = new Random(seed);
        for (let count = 0; count < skipped; count++) random.uint32();
        const state: unknown = JSON.parse(JSON.stringify(random.state));
        assert.ok(Array.isArray(state));
        const copy = Random.restore(state.map(Number));
        for (let count = 0; count < 5; count++) assert.equal(copy.normal(), random.normal());
      }),
    );
  });

  it('stays within its ranges', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 1000 }), (seed, limit) => {
        const random = new Random(seed);
        const uniform = random.uniform();
        assert.ok(uniform >= 0 && uniform < 1);
        const below = random.below(limit);
        assert.ok(Number.isInteger(below) && below >= 0 && below < limit);
        const word = random.uint32();
        assert.ok(Number.isInteger(word) && word >= 0 && word < 2 ** 32);
      }),
    );
  });

  it('is uniform: the chi-square of 64 bins stays under its 99.9% quantile', () => {
    const random = new Random(42);
    const bins = new Array<number>(64).fill(0);
    const draws = 64_000;
    for (let count = 0; count < draws; count++) {
      const bin = random.below(64);
      bins[bin] = at(bins, bin) + 1;
    }
    const expected = draws / 64;
    const chiSquare = bins.reduce((total, seen) => total + (seen - expected) ** 2 / expected, 0);
    assert.ok(chiSquare < 103.4, `chi-square ${chiSquare}`);
  });

  it('draws normal numbers of mean 0 and deviation 1, tails included', () => {
    const random = new Random(43);
    const draws = range(0, 50_000).map(() => random.normal());
    const moment = (power: number) =>
      draws.reduce((total, draw) => total + draw ** power, 0) / draws.length;
    assert.ok(Math.abs(moment(1)) < 0.02, `mean ${moment(1)}`);
    assert.ok(Math.abs(moment(2) - 1) < 0.03, `variance ${moment(2)}`);
    assert.ok(Math.abs(moment(4) - 3) < 0.25, `fourth moment ${moment(4)}`);
  });

  it('shuffles to every order equally often', () => {
    const random = new Random(44);
    const orders = new Map<string, number>();
    for (let count = 0; count < 24_000; count++) {
      const order = random.shuffle([0, 1, 2, 3]).join('');
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    assert.equal(orders.size, 24);
    for (const [order, count] of orders)
      assert.ok(Math.abs(count - 1000) < 150, `${order} ${count}`);
  });
});
