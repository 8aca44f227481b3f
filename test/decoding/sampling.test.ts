import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at, range } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { Random } from '../../src/base/random.js';
import { argmax, candidates, draw, generationOptions } from '../../src/decoding/index.js';
import { keptTokens } from '../../src/decoding/sampling.js';
import { goldenJson } from '../support/golden.js';
import { fc } from '../support/properties.js';

const casesSchema = z.array(
  z.object({
    logits: z.array(z.number().nullable()),
    temperature: z.number(),
    topK: z.number(),
    topP: z.number(),
    kept: z.array(z.tuple([z.number(), z.number()])),
  }),
);

describe('candidates', () => {
  it("keeps the tokens that transformers' logits processors keep, and their probabilities", async () => {
    const cases = await goldenJson(casesSchema, 'sampling', 'cases.json');
    for (const { logits, kept, ...options } of cases) {
      const scores = Float32Array.from(logits, (logit) => logit ?? -Infinity);
      const found = candidates(scores, options);
      const about = JSON.stringify({ ...options, tokens: logits.length });
      assert.deepEqual(
        found.map(({ token }) => token).sort((a, b) => a - b),
        kept.map(([token]) => token),
        about,
      );
      const expected = new Map(kept);
      for (const { token, probability } of found) {
        const difference = Math.abs(probability - (expected.get(token) ?? 0));
        assert.ok(difference < 1e-6, `${about}: token ${token} by ${difference}`);
      }
    }
  });

  it('puts the likeliest first; their probabilities sum to 1, whatever the options', () => {
    const logits = fc.array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 1 });
    const options = fc.record({
      temperature: fc.double({ min: 0.05, max: 5, noNaN: true }),
      topK: fc.nat(20),
      topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(logits, options, (values, settings) => {
        const scores = Float32Array.from(values);
        const found = candidates(scores, settings);
        const total = found.reduce((sum, { probability }) => sum + probability, 0);
        assert.ok(Math.abs(total - 1) < 1e-9);
        const lead = Math.max(...scores) - at(scores, at(found, 0).token);
        assert.ok(lead < 1e-9, `the first is behind the likeliest by ${lead}`);
        const order = found.map(({ probability }) => probability);
        assert.deepEqual(
          order,
          order.toSorted((a, b) => b - a),
        );
        if (settings.topK > 0) {
          const sorted = scores.toSorted().toReversed();
          const least = sorted[settings.topK - 1] ?? -Infinity;
          assert.ok(found.every(({ token }) => at(scores, token) >= least));
        }
      }),
    );
  });
});

describe('keptTokens', () => {
  /** By the definitions, over all tokens in order. */
  function kept(
    logits: readonly number[],
    { temperature, topP, minP }: { temperature: number; topP: number; minP: number },
    least: number,
  ): number[] {
    const order = [...logits.keys()].sort((a, b) => at(logits, b) - at(logits, a) || a - b);
    const top = at(logits, at(order, 0));
    const weights = order.map((token) => Math.exp((at(logits, token) - top) / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let before = 0;
    return order.filter((token, rank) => {
      const nucleus = topP === 1 || before < topP * total;
      before += at(weights, rank);
      const possible = at(logits, token) !== -Infinity;
      return possible && (rank < least || (nucleus && at(weights, rank) >= minP));
    });
  }

  it('are those of the definitions, though not all tokens are put in order', () => {
    const score = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -40, max: 40 }).map((value) => value / 4) },
      { weight: 1, arbitrary: fc.constant(-Infinity) },
    );
    const logits = fc.array(score, { minLength: 2, maxLength: 60 });
    const options = fc.record({
      temperature: fc.constantFrom(0.25, 1, 2),
      topP: fc.constantFrom(0.05, 0.37, 0.811, 0.973, 1),
      minP: fc.constantFrom(0, 0.013, 0.31),
    });
    fc.assert(
      fc.property(logits, options, fc.constantFrom(1, 2), (values, settings, least) => {
        fc.pre(values.some((value) => value !== -Infinity));
        const found = keptTokens(Float32Array.from(values), { ...settings, topK: 0 }, least);
        assert.deepEqual(
          found.map(({ token }) => token),
          kept(values, settings, least),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('argmax', () => {
  it('takes the first of equals', () => {
    assert.equal(argmax(Float32Array.of(1, 3, 3, 2)), 1);
    assert.equal(argmax(Float32Array.of(-Infinity, -5)), 1);
  });
});

describe('draw', () => {
  it('draws as often as the probabilities say', () => {
    const choices = [0.5, 0.3, 0.15, 0.05].map((probability, token) => ({ token, probability }));
    const random = new Random(12);
    const counts = [0, 0, 0, 0];
    const draws = 20_000;
    for (let count = 0; count < draws; count++) {
      const token = draw(choices, random);
      counts[token] = at(counts, token) + 1;
    }
    for (const { token, probability } of choices) {
      const deviation = Math.sqrt(draws * probability * (1 - probability));
      assert.ok(Math.abs(at(counts, token) - draws * probability) < 4 * deviation, `${token}`);
    }
  });

  it('repeats itself from the same seed, and always finds one', () => {
    const choices = range(0, 3).map((token) => ({ token, probability: 1 / 3 - 1e-9 }));
    const draws = (seed: number) => {
      const random = new Random(seed);
      return range(0, 50).map(() => draw(choices, random));
    };
    assert.deepEqual(draws(3), draws(3));
    assert.notDeepEqual(draws(3), draws(4));
    assert.equal(draw([{ token: 8, probability: 0 }], new Random(1)), 8);
  });
});

describe('generationOptions', () => {
  it('fills in what is not said', () => {
    const options = generationOptions({ topK: 3 });
    const expected = {
      minNewTokens: 1,
      doSample: true,
      temperature: 0.7,
      topK: 3,
      topP: 1,
      maxHistoryTurns: 5,
    };
    assert.deepEqual({ ...options, ...expected }, options);
  });

  for (const [options, name] of [
    [{ temperature: 0 }, 'temperature'],
    [{ temperature: NaN }, 'temperature'],
    [{ topK: -1 }, 'topK'],
    [{ topK: 1.5 }, 'topK'],
    [{ topP: 0 }, 'topP'],
    [{ topP: 1.01 }, 'topP'],
    [{ maxNewTokens: 0 }, 'maxNewTokens'],
    [{ minNewTokens: 61 }, 'minNewTokens'],
    [{ seed: -1 }, 'seed'],
    [{ maxHistoryTurns: -1 }, 'maxHistoryTurns'],
  ] as const) {
    it(`refuses ${name} ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => generationOptions(options),
        (error: unknown) => {
          assert.ok(error instanceof UserError);
          assert.ok(error.message.startsWith(`Generation option ${name}: `), error.message);
          return true;
        },
      );
    });
  }
});
