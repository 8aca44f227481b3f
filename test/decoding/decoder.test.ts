import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { Decoder, generateTokens } from '../../src/decoding/index.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { goldenJson, goldenModel } from '../support/golden.js';
import { assertClose } from '../support/numbers.js';
import { READERS } from '../support/readers.js';

const greedyCase = z.object({
  prompt: z.array(z.number()),
  continuation: z.array(z.number()),
  ended_by_eos: z.boolean(),
  last_prompt_logits: z.array(z.number()),
});
const greedySchema = z.object({
  max_new_tokens: z.number(),
  eos_token_id: z.number(),
  cases: z.object({ tiny: z.array(greedyCase), 'tiny-trained': z.array(greedyCase) }),
});

const longConfig = gpt2Config({
  vocab_size: 61,
  n_positions: 300,
  n_embd: 32,
  n_layer: 2,
  n_head: 4,
  initializer_range: 0.3,
});

describe('Decoder', () => {
  for (const name of ['tiny', 'tiny-trained'] as const) {
    it(`continues as PyTorch's ${name} does, greedily`, async () => {
      const golden = await goldenJson(greedySchema, 'gpt2', 'greedy.json');
      await using decoder = await Decoder.create(await goldenModel(name), { threads: 1 });
      for (const example of golden.cases[name]) {
        const logits = await decoder.logits(example.prompt);
        assertClose(logits, example.last_prompt_logits, 1e-5, 'logits');
        const tokens: number[] = [];
        const options = { doSample: false, minNewTokens: 0, maxNewTokens: golden.max_new_tokens };
        const reply = generateTokens(decoder, golden.eos_token_id, example.prompt, options);
        for await (const token of reply) tokens.push(token);
        const expected = example.ended_by_eos
          ? example.continuation.slice(0, -1)
          : example.continuation;
        assert.deepEqual(tokens, expected);
      }
    });
  }

  it('gives the same scores whatever it read before, bit for bit', async () => {
    const parameters = Parameters.initialize(longConfig, new Random(1));
    const random = new Random(2);
    const tokens = (length: number) => range(0, length).map(() => random.below(61));
    const fresh = async (ids: readonly number[]) => {
      await using decoder = await Decoder.create(parameters, { threads: 1 });
      return (await decoder.logits(ids)).slice();
    };
    await using used = await Decoder.create(parameters, { threads: 1 });
    // Other texts, shorter and longer ones, past the first cache of 64 tokens and back.
    for (const length of [10, 3, 70, 1, 65, 64, 200, 12]) {
      const ids = tokens(length);
      assert.deepEqual((await used.logits(ids)).slice(), await fresh(ids), `${length} tokens`);
    }
  });

  for (const { name, open } of READERS) {
    it(`scores token by token as it does at once, while the cache grows: ${name}`, async () => {
      const parameters = Parameters.initialize(longConfig, new Random(3));
      const random = new Random(4);
      await using stepwise = await open(parameters);
      await using whole = await open(parameters);
      const ids = [5, 6, 7];
      await stepwise.read([{ ids, prompt: 3 }]);
      while (ids.length < 150) {
        ids.push(random.below(61));
        const [step] = await stepwise.read([{ ids, prompt: 3 }]);
        assert.equal(step?.known, ids.length - 1);
        if (ids.length % 21 === 0 || (ids.length > 62 && ids.length < 68)) {
          assertClose(step.logits, await whole.logits(ids), 1e-4, `${ids.length} tokens`);
        }
      }
      // The same steps by another that has read something else before: the same, bit for bit.
      await using other = await open(parameters);
      await other.logits(range(0, 100).map((index) => index % 61));
      const [again] = await other.read([{ ids, prompt: 3 }]);
      const [last] = await stepwise.read([{ ids, prompt: 3 }]);
      assert.deepEqual(again?.logits.slice(), last?.logits.slice());
    });

    it(`goes on from what two texts have in common: ${name}`, async () => {
      const parameters = Parameters.initialize(longConfig, new Random(5));
      await using reader = await open(parameters, { exact: false });
      await using fresh = await open(parameters);
      const start = range(0, 40);
      await reader.logits([...start, 30, 31, 32]);
      const longer = range(0, 160).map((place) => (place * 7) % 61);
      for (const [ids, common] of [
        [[...start, 40, 41], 40],
        [[...start, 40], 40],
        [start, 39],
        [[...start, 50], 40],
        [[...start, 50, ...longer], 41],
        [[...start, 50, ...longer.slice(0, 100), 9], 141],
      ] as const) {
        const [reading] = await reader.read([{ ids, prompt: ids.length }]);
        assert.equal(reading?.known, common);
        assertClose(reading.logits, await fresh.logits(ids), 1e-5);
      }
    });
  }

  it('refuses no tokens and more than there are positions for', async () => {
    const parameters = Parameters.initialize(
      gpt2Config({ ...longConfig, n_positions: 8 }),
      new Random(6),
    );
    await using decoder = await Decoder.create(parameters, { threads: 1 });
    await assert.rejects(decoder.logits([]), RangeError);
    await assert.rejects(decoder.logits(range(0, 9)), {
      message: 'A model of 8 positions cannot read 9 tokens.',
    });
    assert.equal((await decoder.logits(range(0, 8))).length, 61);
    const tokens: number[] = [];
    for await (const token of generateTokens(decoder, 60, [1, 2, 3, 4, 5], { minNewTokens: 60 })) {
      tokens.push(token);
    }
    assert.equal(tokens.length, 3);
    assert.ok(!tokens.includes(60));
  });
});
