import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '../../src/base/arrays.js';
import {
  Decoder,
  decodingOptions,
  finishSearch,
  searchOf,
  searchTask,
} from '../../src/decoding/index.js';
import { logSoftmax } from '../../src/decoding/sampling.js';
import { decidedModel, END } from '../support/readers.js';

describe('contrastive search', () => {
  it('tells the probabilities that its tokens had before they were read', async () => {
    const parameters = decidedModel(3);
    // Room for all rows from the start, so that memory is used again at once.
    await using decoder = await Decoder.create(parameters, { threads: 1, slots: 6 });
    await using judge = await Decoder.create(parameters, { threads: 1 });
    const options = decodingOptions({ penaltyAlpha: 0.6, topK: 4, maxNewTokens: 8 });
    const prompt = [3, 14, 15, 9, 2];
    const told: { readonly token: number; readonly logprob?: number }[] = [];
    const report = {
      logprobs: 0,
      onToken: (chosen: (typeof told)[number]) => {
        told.push(chosen);
      },
    };
    const task = searchTask(prompt, END, parameters.config.n_positions, options, [], report);
    const [found] = await finishSearch(decoder, searchOf(task));
    assert.deepEqual(
      told.map(({ token }) => token),
      found?.tokens,
    );
    assert.ok(told.length >= 4);
    for (const [place, { token, logprob = NaN }] of told.entries()) {
      const before = [...prompt, ...told.slice(0, place).map((earlier) => earlier.token)];
      const expected = at(logSoftmax(await judge.logits(before)), token);
      assert.ok(Math.abs(logprob - expected) < 1e-4, `${place}: ${logprob}, not ${expected}`);
    }
  });
});
