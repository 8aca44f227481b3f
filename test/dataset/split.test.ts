import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import {
  cutByTurns,
  labelCount,
  splitDialogue,
  toExample,
  type TokenizedDialogue,
} from '../../src/dataset/index.js';
import { fc } from '../support/properties.js';

const END = 0;

/** Dialogues whose tokens are all different, so that each can be found again. */
const dialogues = fc
  .array(fc.tuple(fc.nat(14), fc.constantFrom(0, 1, 1)), { minLength: 2, maxLength: 12 })
  .map((turns): TokenizedDialogue => {
    let next = 1;
    return {
      turns: turns.map(([length]) => range(0, length).map(() => next++)),
      weights: turns.map(([, weight]) => weight),
    };
  });
const limits = fc.integer({ min: 3, max: 40 });

const ofLengths = (...lengths: number[]): TokenizedDialogue => ({
  turns: lengths.map((length, turn) => range(0, length).map((index) => 100 * (turn + 1) + index)),
  weights: lengths.map(() => 1),
});
const lengthsOf = (pieces: readonly TokenizedDialogue[]) =>
  pieces.map(({ turns }) => turns.map((turn) => turn.length));

describe('cutByTurns', () => {
  it('leaves every turn after the first one as an answer, once, after the turn before it', () => {
    fc.assert(
      fc.property(dialogues, fc.integer({ min: 2, max: 14 }), (dialogue, most) => {
        const parts = cutByTurns(dialogue, most);
        assert.ok(parts.every(({ turns }) => turns.length >= 2 && turns.length <= most));
        const answers = parts.flatMap(({ turns, weights }) =>
          turns.slice(1).map((turn, index) => [turns[index], turn, weights[index + 1]]),
        );
        const all = dialogue.turns
          .slice(1)
          .map((turn, index) => [dialogue.turns[index], turn, dialogue.weights[index + 1]]);
        assert.deepEqual(answers, all);
      }),
    );
  });

  it('0: leaves a dialogue whole', () => {
    const dialogue = ofLengths(1, 2, 3);
    assert.deepEqual(cutByTurns(dialogue, 0), [dialogue]);
  });
});

describe('splitDialogue', () => {
  it('split: makes no example longer than the limit', () => {
    fc.assert(
      fc.property(dialogues, limits, (dialogue, limit) => {
        for (const piece of splitDialogue(dialogue, limit, 'split').pieces) {
          const example = toExample(piece, END);
          assert.ok(example !== undefined && labelCount(example) > 0);
          assert.ok(example.inputIds.length <= limit);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('split: leaves each labelled turn in one example, but those it counts or cannot place', () => {
    fc.assert(
      fc.property(dialogues, limits, (dialogue, limit) => {
        const { pieces, dropped, longTurns } = splitDialogue(dialogue, limit, 'split');
        assert.equal(dropped, 0);
        assert.equal(longTurns, dialogue.turns.filter((turn) => turn.length > limit).length);
        const learnt = pieces.flatMap(({ turns, weights }) =>
          turns.filter((_, index) => index > 0 && at(weights, index) !== 0),
        );
        for (const [index, turn] of dialogue.turns.entries()) {
          const times = learnt.filter((other) => other === turn).length;
          assert.ok(times <= 1);
          const before = dialogue.turns[index - 1];
          // A turn is learnt after the turn before it, so it must be there and both must fit.
          const fits = before !== undefined && before.length + 1 + turn.length <= limit;
          const expected = fits && at(dialogue.weights, index) !== 0 ? 1 : 0;
          assert.equal(times, expected, `turn ${index}`);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('split: starts each piece with the turn before the cut', () => {
    const { pieces } = splitDialogue(ofLengths(4, 4, 4, 4, 4), 14, 'split');
    assert.deepEqual(
      pieces.map(({ turns }) => turns.map((turn) => Math.floor(at(turn, 0) / 100))),
      [
        [1, 2, 3],
        [3, 4, 5],
      ],
    );
  });

  it('split: fills a piece to the last token', () => {
    assert.deepEqual(lengthsOf(splitDialogue(ofLengths(4, 5), 10, 'split').pieces), [[4, 5]]);
    assert.deepEqual(lengthsOf(splitDialogue(ofLengths(4, 6), 10, 'split').pieces), []);
    assert.deepEqual(lengthsOf(splitDialogue(ofLengths(4, 6, 2), 10, 'split').pieces), [[6, 2]]);
  });

  it('compat: cuts only once a piece is too long already', () => {
    const { pieces } = splitDialogue(ofLengths(4, 4, 4, 4, 4), 8, 'compat');
    assert.deepEqual(lengthsOf(pieces), [
      [4, 4],
      [4, 4],
      [4, 4],
      [4, 4],
    ]);
    assert.deepEqual(lengthsOf(splitDialogue(ofLengths(8, 8, 8), 8, 'compat').pieces), [
      [8, 8],
      [8, 8],
    ]);
  });

  it('drop: makes the pieces of compat less those whose padded example is too long', () => {
    const example = (lengths: readonly number[]) => {
      const { pieces, dropped } = splitDialogue(ofLengths(...lengths), 16, 'drop');
      return [pieces.length, dropped];
    };
    assert.deepEqual(example([8, 7]), [1, 0]);
    assert.deepEqual(example([8, 8]), [0, 1]);
    fc.assert(
      fc.property(dialogues, limits, (dialogue, limit) => {
        const compat = splitDialogue(dialogue, limit, 'compat');
        const drop = splitDialogue(dialogue, limit, 'drop');
        const short = compat.pieces.filter(
          (piece) => Math.ceil((toExample(piece, END)?.inputIds.length ?? 0) / 8) * 8 <= limit,
        );
        assert.deepEqual(drop.pieces, short);
        assert.equal(drop.dropped, compat.pieces.length - short.length);
        assert.equal(drop.longTurns, compat.longTurns);
      }),
    );
  });

  for (const mode of ['split', 'compat', 'drop'] as const) {
    it(`${mode}: starts anew after a turn that alone is too long, and counts it`, () => {
      const { pieces, longTurns } = splitDialogue(ofLengths(2, 2, 30, 2, 2), 16, mode);
      assert.equal(longTurns, 1);
      assert.deepEqual(
        pieces.map(({ turns }) => turns.map((turn) => Math.floor(at(turn, 0) / 100))),
        [
          [1, 2],
          [4, 5],
        ],
      );
    });

    it(`${mode}: leaves out pieces with nothing to learn`, () => {
      const dialogue = { ...ofLengths(2, 2, 2), weights: [1, 0, 0] };
      assert.deepEqual(splitDialogue(dialogue, 16, mode), { pieces: [], dropped: 0, longTurns: 0 });
    });
  }
});
