import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { loadParameters } from '../../src/checkpoint/index.js';
import { candidates, Scorer } from '../../src/decoding/index.js';
import { golden } from '../support/files.js';

const schema = z.object({
  warped: z.array(
    z.object({
      options: z.record(z.string(), z.number()),
      logits: z.array(z.number().nullable()),
      probabilities: z.record(z.string(), z.number()),
    }),
  ),
  scored: z.array(
    z.object({ ids: z.array(z.number()), from: z.number(), log_probability: z.number() }),
  ),
  head: z.array(z.number()),
  ranked: z.array(z.object({ ids: z.array(z.number()), score: z.number() })),
});
const reference = schema.parse(
  JSON.parse(await readFile(golden('decoding', 'scores.json'), 'utf8')),
);

describe('scores equal those of PyTorch', () => {
  it('the tokens that may be drawn, and their probabilities', () => {
    for (const { options, logits, probabilities } of reference.warped) {
      const { temperature = 1, top_k = 0, top_p = 1, min_p = 0, typical_p = 1 } = options;
      const scores = Float32Array.from(logits, (value) => value ?? -Infinity);
      const found = candidates(scores, {
        temperature,
        topK: top_k,
        topP: top_p,
        minP: min_p,
        typicalP: typical_p,
      });
      const tokens = found.map(({ token }) => token).sort((a, b) => a - b);
      assert.deepEqual(tokens, Object.keys(probabilities).map(Number), JSON.stringify(options));
      for (const { token, probability } of found) {
        assert.ok(Math.abs(probability - (probabilities[token] ?? 0)) < 1e-6);
      }
    }
  });

  it('log-probabilities of parts of sequences, in one batch', async () => {
    const parameters = await loadParameters(golden('gpt2', 'tiny-trained'));
    await using scorer = await Scorer.create(parameters, 'losses', { threads: 1 });
    const found = await scorer.logProbabilities(reference.scored);
    for (const [index, { log_probability }] of reference.scored.entries()) {
      assert.ok(Math.abs((found[index] ?? 0) - log_probability) < 1e-4);
    }
  });

  it('the ranking head at the last token', async () => {
    const parameters = await loadParameters(golden('gpt2', 'tiny-trained'));
    await using scorer = await Scorer.create(parameters, 'states', { threads: 1 });
    const states = await scorer.lastStates(reference.ranked);
    for (const [index, { score }] of reference.ranked.entries()) {
      const logit = reference.head.reduce(
        (sum, weight, place) => sum + weight * (states[index]?.[place] ?? 0),
        0,
      );
      assert.ok(Math.abs(1 / (1 + Math.exp(-logit)) - score) < 1e-5);
    }
  });
});
