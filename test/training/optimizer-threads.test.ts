import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { layoutOf, ParameterBuffer } from '../../src/model/index.js';
import { Adam } from '../../src/training/index.js';
import { newTurns, piecesOf, waitForOthers, workOn } from '../../src/training/optimizer-pass.js';

/** Large enough for threads, with a parameter of many pieces and odd ends. */
const LAYOUT = layoutOf([
  ['wte.weight', [3001, 601]],
  ['h.0.ln_1.bias', [7]],
  ['h.0.mlp.weight', [513, 1001]],
  ['h.0.mlp.bias', [1001]],
]);

function filled(seed: number, scale: number): ParameterBuffer {
  const random = new Random(seed);
  const numbers = new ParameterBuffer(LAYOUT);
  for (const index of numbers.buffer.keys()) numbers.buffer[index] = scale * random.normal();
  return numbers;
}

/** The weights, moments and norms after some steps with so many threads. */
async function afterSteps(threads: number) {
  const weights = filled(1, 0.02);
  await using adam = new Adam(LAYOUT, {}, threads);
  const norms = range(0, 4).map(
    (step) => adam.step(weights, filled(2 + step, 0.01), 1e-3).gradientNorm,
  );
  return {
    norms,
    numbers: [weights, adam.firstMoments, adam.secondMoments].map(({ buffer }) => buffer),
  };
}

describe('the threads of the optimizer', () => {
  it('give the same numbers, bit for bit, however many they are', async () => {
    const alone = await afterSteps(1);
    for (const threads of [2, 4]) assert.deepEqual(await afterSteps(threads), alone);
  });

  it('cut every parameter into pieces that meet and stay within it', () => {
    const pieces = piecesOf(LAYOUT);
    for (const [parameter, { offset, length }] of LAYOUT.entries()) {
      const own = pieces.filter((piece) => piece.parameter === parameter);
      assert.equal(own[0]?.start, offset);
      assert.equal(own.at(-1)?.stop, offset + length);
      for (const [index, piece] of own.slice(1).entries()) {
        assert.equal(piece.start, own[index]?.stop);
      }
    }
  });

  it('say that one of them failed, and do not wait for ever', () => {
    const pieces = piecesOf(LAYOUT);
    const turns = newTurns();
    const pass = { kind: 'squares', sums: new Float64Array(pieces.length) } as const;
    const { buffer } = filled(1, 1);
    const open = () => ({
      weights: buffer,
      gradients: buffer,
      firstMoments: buffer,
      secondMoments: buffer,
    });
    assert.throws(() => {
      workOn(pass, pieces, turns, () => {
        throw new Error('there is no such memory');
      });
    }, /no such memory/);
    workOn(pass, pieces, turns, open);
    assert.throws(() => {
      waitForOthers(turns, pieces);
    }, /A thread of the optimizer failed/);
  });
});
