import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { type RunningServer, startServer } from '../../src/serving/index.js';
import { HELLO, PLAIN, savedModel } from '../support/serving.js';

const KEY = 'sk-of-the-test';

let server: RunningServer;
let remove: () => Promise<void>;

describe('clients of OpenAI work unchanged', () => {
  before(async () => {
    const { path, remove: removeModel } = await savedModel();
    remove = removeModel;
    server = await startServer({
      model: path,
      port: 0,
      apiKeys: ['another', KEY],
      logLevel: 'silent',
      loading: { threads: 1 },
    });
  });
  after(async () => {
    await server.close();
    await remove();
  });

  it("OpenAI's own: chat, stream, completions, models, errors", async () => {
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: KEY, maxRetries: 0 });
    const messages = [{ role: 'system' as const, content: 'doing' }, ...HELLO];
    const body = { model: 'tiny', messages, seed: 1, max_tokens: 10, logit_bias: { ...PLAIN } };
    const answer = await client.chat.completions.create({
      ...body,
      logprobs: true,
      top_logprobs: 2,
    });
    const text = answer.choices[0]?.message.content ?? '';
    assert.ok(text.length > 0);
    assert.equal(answer.choices[0]?.logprobs?.content?.[0]?.top_logprobs.length, 2);
    assert.ok((answer.usage?.completion_tokens ?? 0) > 0);

    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    let streamed = '';
    let usage: OpenAI.CompletionUsage | undefined;
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(streamed, text);
    assert.equal(usage?.total_tokens, answer.usage?.total_tokens);

    const helper = client.chat.completions.stream(body);
    assert.equal(await helper.finalContent(), text);

    const completion = await client.completions.create({
      model: 'tiny',
      prompt: 'hello',
      echo: true,
    });
    assert.ok(completion.choices[0]?.text.startsWith('hello'));
    const models = await client.models.list();
    assert.deepEqual(
      models.data.map(({ id }) => id),
      ['tiny'],
    );
    assert.equal((await client.models.retrieve('tiny')).id, 'tiny');

    await assert.rejects(
      client.chat.completions.create({ ...body, model: 'gpt-4' }),
      OpenAI.NotFoundError,
    );
    await assert.rejects(
      client.chat.completions.create({ ...body, response_format: { type: 'json_object' } }),
      (error: unknown) =>
        error instanceof OpenAI.BadRequestError &&
        error.param === 'response_format' &&
        error.code === 'unsupported_parameter',
    );
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'wrong', maxRetries: 0 });
    await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  });

  it("Vercel's AI SDK: text and stream", async () => {
    const provider = createOpenAICompatible({
      name: 'dialogpt',
      baseURL: `${server.url}/v1`,
      apiKey: KEY,
      includeUsage: true,
    });
    const model = provider('tiny');
    const question = { model, prompt: 'hello there', seed: 2, maxOutputTokens: 8 };
    const { text, usage, finishReason } = await generateText(question);
    assert.ok(text.length > 0);
    assert.ok(finishReason === 'stop' || finishReason === 'length');
    const stream = streamText(question);
    let streamed = '';
    for await (const piece of stream.textStream) streamed += piece;
    assert.equal(streamed, text);
    assert.equal((await stream.usage).outputTokens, usage.outputTokens);
    assert.ok((usage.outputTokens ?? 0) > 0);
  });
});
