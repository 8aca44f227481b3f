import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { type RunningServer, startServer } from '../../src/serving/index.js';
import {
  errorSchema,
  PLAIN,
  post,
  savedModel,
  tokenizer,
  usageSchema,
} from '../support/serving.js';

const completionSchema = z.object({
  object: z.literal('text_completion'),
  choices: z.array(
    z.object({
      index: z.number(),
      text: z.string(),
      finish_reason: z.string(),
      logprobs: z
        .object({
          tokens: z.array(z.string()),
          token_logprobs: z.array(z.number().nullable()),
          top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
          text_offset: z.array(z.number()),
        })
        .nullable(),
    }),
  ),
  usage: usageSchema,
});

let server: RunningServer;
let remove: () => Promise<void>;

async function complete(
  fields: Readonly<Record<string, unknown>>,
): Promise<z.infer<typeof completionSchema>> {
  const all = { model: 'tiny', prompt: 'hello', seed: 3, logit_bias: PLAIN, ...fields };
  const { status, body } = await post(server, '/v1/completions', all);
  assert.equal(status, 200, JSON.stringify(body));
  return completionSchema.parse(body);
}

describe('text completions', () => {
  before(async () => {
    let path;
    ({ path, remove } = await savedModel());
    server = await startServer({
      model: path,
      port: 0,
      logLevel: 'silent',
      loading: { threads: 1, slots: 4 },
    });
  });
  after(async () => {
    await server.close();
    await remove();
  });

  it('continues texts and tokens as they stand', async () => {
    const one = await complete({ prompt: 'hello<|endoftext|>', max_tokens: 6 });
    const ids = [...tokenizer.encode('hello'), tokenizer.endOfText];
    const other = await complete({ prompt: ids, max_tokens: 6 });
    assert.equal(other.choices[0]?.text, one.choices[0]?.text);
    assert.equal(one.usage.prompt_tokens, ids.length);
    const many = await complete({ prompt: ['hello<|endoftext|>', 'how'], n: 2, max_tokens: 6 });
    assert.deepEqual(
      many.choices.map(({ index }) => index),
      [0, 1, 2, 3],
    );
    assert.equal(many.choices[0]?.text, one.choices[0]?.text);
    const batch = await complete({ prompt: [ids, ids], max_tokens: 6 });
    assert.equal(batch.choices[1]?.text, one.choices[0]?.text);
    assert.equal((await complete({ prompt: '', max_tokens: 3 })).usage.prompt_tokens, 1);
    const long = await complete({ prompt: 'hello', max_length: 20, min_length: 20 });
    assert.equal(long.usage.total_tokens, 20);
    assert.ok((await complete({})).usage.completion_tokens <= 16);
  });

  it('echoes the prompt with its probabilities', async () => {
    const fields = { prompt: 'hello there', echo: true, logprobs: 2 };
    const scored = await complete({ ...fields, max_tokens: 0 });
    const [choice] = scored.choices;
    assert.equal(choice?.text, 'hello there');
    assert.equal(choice.finish_reason, 'length');
    const ids = tokenizer.encode('hello there');
    assert.equal(choice.logprobs?.tokens.length, ids.length);
    assert.equal(choice.logprobs.token_logprobs[0], null);
    assert.equal(scored.usage.completion_tokens, 0);
    for (const [index, start] of choice.logprobs.text_offset.entries()) {
      assert.ok('hello there'.startsWith(choice.logprobs.tokens[index] ?? '?', start));
    }
    const more = await complete({ ...fields, max_tokens: 4, min_tokens: 4 });
    const [longer] = more.choices;
    assert.ok(longer !== undefined);
    assert.ok(longer.text.startsWith('hello there'));
    assert.equal(longer.logprobs?.tokens.length, ids.length + 4);
    const opening = longer.logprobs.token_logprobs.slice(0, ids.length);
    for (const [index, value] of opening.entries()) {
      const expected = choice.logprobs.token_logprobs[index] ?? 0;
      assert.ok(Math.abs((value ?? 0) - expected) < 1e-4);
    }
  });

  it('takes the likeliest of several continuations', async () => {
    const mean = (choice: z.infer<typeof completionSchema>['choices'][number] | undefined) => {
      const values = choice?.logprobs?.token_logprobs.map((value) => value ?? 0) ?? [];
      return values.reduce((total, value) => total + value, 0) / values.length;
    };
    const fields = { max_tokens: 5, min_tokens: 5, logprobs: 0 };
    const all = await complete({ ...fields, n: 4 });
    const best = await complete({ ...fields, n: 1, best_of: 4 });
    const likeliest = Math.max(...all.choices.map(mean));
    assert.ok(Math.abs(mean(best.choices[0]) - likeliest) < 1e-4);
  });

  it('refuses completions that cannot be', async () => {
    const base = { model: 'tiny', prompt: 'hello' };
    const cases: readonly (readonly [Record<string, unknown>, string | null])[] = [
      [{ suffix: 'x' }, 'suffix'],
      [{ n: 3, best_of: 2 }, 'best_of'],
      [{ best_of: 2, stream: true }, 'best_of'],
      [{ prompt: [99999] }, 'prompt'],
      [{ prompt: 'hello '.repeat(2000) }, 'prompt'],
    ];
    for (const [fields, param] of cases) {
      const { status, body } = await post(server, '/v1/completions', { ...base, ...fields });
      assert.equal(status, 400, JSON.stringify(fields));
      assert.equal(errorSchema.parse(body).error.param, param);
    }
    const long = await post(server, '/v1/completions', { ...base, prompt: 'hello '.repeat(2000) });
    assert.equal(errorSchema.parse(long.body).error.code, 'context_length_exceeded');
    const none = await post(server, '/v1/rerank', { query: 'x', documents: ['y'] });
    assert.equal(none.status, 404);
  });
});
