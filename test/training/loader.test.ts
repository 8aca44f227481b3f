import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { epochBatches, sortedBatches } from '../../src/training/index.js';
import { fc } from '../support/properties.js';

const lengthsOf = fc.array(fc.integer({ min: 1, max: 128 }), { maxLength: 600 });
const sizes = fc.integer({ min: 1, max: 9 });

describe('epochBatches', () => {
  it('holds every example exactly once, in batches of the size asked for', () => {
    fc.assert(
      fc.property(lengthsOf, sizes, fc.nat(1000), fc.nat(50), (lengths, size, seed, epoch) => {
        const batches = epochBatches(lengths, size, seed, epoch);
        const all = batches.flat().sort((a, b) => a - b);
        assert.deepEqual(all, range(0, lengths.length));
        assert.ok(batches.every((batch) => batch.length >= 1 && batch.length <= size));
        assert.ok(batches.filter((batch) => batch.length < size).length <= 1);
      }),
      { numRuns: 50 },
    );
  });

  it('is the same for the same seed and epoch, and another for others', () => {
    const lengths = range(0, 500).map((index) => 5 + ((index * 37) % 90));
    const first = epochBatches(lengths, 4, 1, 0);
    assert.deepEqual(epochBatches(lengths, 4, 1, 0), first);
    assert.notDeepEqual(epochBatches(lengths, 4, 1, 1), first);
    assert.notDeepEqual(epochBatches(lengths, 4, 2, 0), first);
  });

  it('sorts by length within buckets of a hundred batches, so batches are of about one length', () => {
    const lengths = range(0, 1000).map((index) => 1 + ((index * 7919) % 997));
    const batches = epochBatches(lengths, 5, 3, 0);
    // Two buckets of 500: within each, batches follow each other without overlap.
    const spans = batches.map((batch) => {
      const own = batch.map((index) => at(lengths, index));
      assert.deepEqual(
        own,
        own.toSorted((a, b) => b - a),
      );
      return { longest: Math.max(...own), shortest: Math.min(...own) };
    });
    const overlaps = (bound: number) =>
      spans.filter(({ longest, shortest }) => shortest < bound && bound <= longest).length;
    for (const bound of range(1, 998)) assert.ok(overlaps(bound) <= 2, `length ${bound}`);
    const mean =
      spans.reduce((total, { longest, shortest }) => total + longest - shortest, 0) / 200;
    assert.ok(mean < 12, `the lengths of a batch differ by ${mean}`);
    const order = spans.map(({ longest }) => longest);
    assert.notDeepEqual(
      order,
      order.toSorted((a, b) => b - a),
    );
  });
});

describe('sortedBatches', () => {
  it('holds every example exactly once, the longest first', () => {
    fc.assert(
      fc.property(lengthsOf, sizes, (lengths, size) => {
        const batches = sortedBatches(lengths, size);
        const order = batches.flat();
        assert.deepEqual(
          order.toSorted((a, b) => a - b),
          range(0, lengths.length),
        );
        const sorted = order.map((index) => at(lengths, index));
        assert.deepEqual(
          sorted,
          sorted.toSorted((a, b) => b - a),
        );
        assert.ok(batches.slice(0, -1).every((batch) => batch.length === size));
      }),
      { numRuns: 50 },
    );
  });
});
