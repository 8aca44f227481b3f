import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { makeBatch } from '../../src/training/index.js';
import { splitBatch } from '../../src/training/batch.js';
import { randomExample } from '../support/examples.js';
import { fc } from '../support/properties.js';

describe('splitBatch', () => {
  it('cuts into parts of about equal size, none over the limit, all examples in order', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 300 }), fc.boolean(), (all, limit, types) => {
        const random = new Random(1);
        const batch = makeBatch(
          all.map((length) => randomExample(length, 97, random)),
          types,
        );
        const parts = splitBatch(batch, limit);
        assert.deepEqual(
          parts.flatMap((part) => part.examples),
          batch.examples,
        );
        assert.ok(parts.every(({ tokens, size }) => tokens <= limit || size === 1));
        assert.ok(parts.every(({ lookups }) => (lookups.types !== undefined) === types));
        // Two neighbours are more than half of an equal share: none is made of a mere rest.
        const share = batch.tokens / Math.ceil(batch.tokens / limit);
        for (const [index, { tokens }] of parts.slice(1).entries()) {
          assert.ok(at(parts, index).tokens + tokens > share / 2);
        }
      }),
    );
  });

  it('leaves a batch as it is that is small enough', () => {
    const batch = makeBatch([randomExample(9, 97, new Random(2))]);
    assert.deepEqual(splitBatch(batch, 9), [batch]);
  });
});
