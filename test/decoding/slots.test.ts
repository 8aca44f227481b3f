import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { gatherSlots } from '../../src/decoding/slots.js';
import { fc } from '../support/properties.js';

describe('gatherSlots', () => {
  it('leaves few idle slots between busy ones, and loses none', () => {
    const layout = fc
      .integer({ min: 1, max: 40 })
      .chain((slots) =>
        fc.tuple(
          fc.constant(slots),
          fc.shuffledSubarray(range(0, slots), { minLength: 1, maxLength: slots }),
        ),
      );
    fc.assert(
      fc.property(layout, ([slots, places]) => {
        const held = range(0, slots);
        let moves = 0;
        const now = gatherSlots(places, slots, (one, other) => {
          [held[one], held[other]] = [at(held, other), at(held, one)];
          moves += 1;
        });
        // Each sequence is where what its slot held is now.
        assert.deepEqual(
          now.map((slot) => at(held, slot)),
          places,
        );
        const span = Math.max(...now) + 1 - Math.min(...now);
        assert.ok(span <= places.length * (1 + 1 / 8));
        assert.ok(moves < places.length);
      }),
    );
  });

  it('moves the fewest', () => {
    const moves: [number, number][] = [];
    const move = (one: number, other: number) => {
      moves.push([one, other]);
    };
    assert.deepEqual(gatherSlots([9, 4, 0, 5, 6], 10, move), [3, 4, 2, 5, 6]);
    assert.equal(moves.length, 2);
  });
});
