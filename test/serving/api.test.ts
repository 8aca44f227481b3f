import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { at } from '../../src/base/arrays.js';
import { saveCheckpoint } from '../../src/checkpoint/index.js';
import { loadModel } from '../../src/decoding/index.js';
import { type RunningServer, startServer } from '../../src/serving/index.js';
import { temporaryFolder } from '../support/files.js';
import {
  type Answer,
  chat,
  checkpoint,
  errorSchema,
  HELLO,
  messagesOf,
  metric,
  PLAIN,
  post,
  savedModel,
  servedModel,
  tokenizer,
  usageSchema,
} from '../support/serving.js';

const tokenSchema = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.number()),
});
const logprobsSchema = z.object({
  content: z.array(tokenSchema.extend({ top_logprobs: z.array(tokenSchema) })),
});
const answerSchema = z.object({
  id: z.string().startsWith('chatcmpl-'),
  object: z.literal('chat.completion'),
  model: z.literal('tiny'),
  choices: z.array(
    z.object({
      index: z.number(),
      message: z.object({ role: z.literal('assistant'), content: z.string() }),
      logprobs: logprobsSchema.nullable(),
      finish_reason: z.string(),
      candidates: z
        .array(z.object({ text: z.string(), scores: z.record(z.string(), z.number()) }))
        .optional(),
      interventions: z.array(z.object({ action: z.string(), message: z.string() })).optional(),
    }),
  ),
  usage: usageSchema,
});
const chunkSchema = z.object({
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      index: z.number(),
      delta: z.object({ role: z.string().optional(), content: z.string().optional() }),
      finish_reason: z.string().nullable(),
      interventions: z.array(z.object({ action: z.string() })).optional(),
    }),
  ),
  usage: usageSchema.nullish(),
});
let server: RunningServer;
let remove: () => Promise<void>;
let path = '';

function ask(fields: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
  return post(server, '/v1/chat/completions', chat(fields));
}

async function texts(fields: Readonly<Record<string, unknown>> = {}): Promise<string[]> {
  const { status, body } = await ask(fields);
  assert.equal(status, 200, JSON.stringify(body));
  return answerSchema.parse(body).choices.map(({ message }) => message.content);
}

describe("the server's API", () => {
  before(async () => {
    ({ path, remove } = await savedModel());
    server = await startServer({
      model: path,
      port: 0,
      logLevel: 'silent',
      loading: { threads: 1, slots: 4, reverseModel: path },
    });
  });
  after(async () => {
    await server.close();
    await remove();
  });

  it('replies to a chat as the library does', async () => {
    await using model = await loadModel(path, { threads: 1 });
    let text = '';
    const bias = Object.entries(PLAIN).map(([id, value]): [number, number] => [Number(id), value]);
    const options = { seed: 3, maxNewTokens: 12, logitBias: bias, maxHistoryTurns: 0 };
    for await (const piece of model.reply(['hello there', 'how', 'fine'], options)) text += piece;
    const messages = [
      { role: 'user', content: 'hello there' },
      { role: 'assistant', content: 'how' },
      { role: 'user', content: [{ type: 'text', text: 'fine' }] },
    ];
    assert.deepEqual(await texts({ messages }), [text]);
    assert.match(text, /^[ -~]+$/);
  });

  it('counts tokens, ends at the limit, and tells persona from conversation', async () => {
    const { choices, usage } = answerSchema.parse(
      (await ask({ min_tokens: 5, max_tokens: 5 })).body,
    );
    assert.equal(choices[0]?.finish_reason, 'length');
    const prompt = tokenizer.encode('hello there').length + 1;
    assert.equal(usage.prompt_tokens, prompt);
    assert.equal(usage.completion_tokens, 5);
    assert.equal(usage.total_tokens, prompt + 5);
    const persona = [{ role: 'system', content: 'how are you\ndoing' }, ...HELLO];
    const more = answerSchema.parse((await ask({ messages: persona })).body).usage;
    const lines = ['how are you', 'doing'].map((line) => tokenizer.encode(line).length + 1);
    assert.equal(more.prompt_tokens, prompt + at(lines, 0) + at(lines, 1));
  });

  it('streams what it answers as a whole, with the usage and the end', async () => {
    const whole = answerSchema.parse((await ask({ n: 2 })).body);
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(chat({ n: 2, stream: true, stream_options: { include_usage: true } })),
    });
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    const chunks = messagesOf(await response.text()).map((chunk) => chunkSchema.parse(chunk));
    const last = chunks.pop();
    assert.deepEqual(last?.choices, []);
    assert.equal(last.usage?.total_tokens, whole.usage.total_tokens);
    for (const { index, message, finish_reason: finish } of whole.choices) {
      const own = chunks.flatMap(({ choices }) => choices).filter((each) => each.index === index);
      assert.deepEqual(own[0]?.delta, { role: 'assistant', content: '' });
      assert.equal(own.map(({ delta }) => delta.content ?? '').join(''), message.content);
      assert.equal(own.at(-1)?.finish_reason, finish);
      assert.ok(own.slice(0, -1).every((each) => each.finish_reason === null));
      assert.ok(own.length > 4);
    }
    assert.ok(chunks.every(({ usage }) => usage === null));
  });

  it('repeats itself with a seed; choices differ from each other', async () => {
    const [first, second] = await texts({ n: 2 });
    assert.deepEqual(await texts({ n: 2 }), [first, second]);
    assert.notEqual(first, second);
    assert.notDeepEqual(await texts({ seed: 4 }), [first]);
    assert.deepEqual(await texts({ n: 1 }), [first]);
    const greedy = await texts({ temperature: 0 });
    assert.deepEqual(await texts({ temperature: 0, seed: 99, top_p: 0.5, top_k: 3 }), greedy);
    assert.deepEqual(await texts({ top_k: 1 }), greedy);
    await texts({ seed: -5 });
  });

  it('ends at stop strings, which are not told', async () => {
    const [text = ''] = await texts();
    const stop = text.slice(4, 7);
    const { body } = await ask({ stop: [stop, 'never said'], logprobs: true });
    const [choice] = answerSchema.parse(body).choices;
    assert.equal(choice?.message.content, text.slice(0, text.indexOf(stop)));
    assert.equal(choice.finish_reason, 'stop');
    const told = choice.logprobs?.content.map(({ token }) => token).join('') ?? '';
    assert.ok(told.startsWith(choice.message.content.trimStart()) || told.trim() !== '');
    assert.deepEqual(await texts({ stop }), [choice.message.content]);
  });

  it('tells the probabilities of tokens', async () => {
    const { body } = await ask({
      logprobs: true,
      top_logprobs: 20,
      temperature: 0,
      logit_bias: {},
    });
    const [choice] = answerSchema.parse(body).choices;
    const content = choice?.logprobs?.content ?? [];
    assert.equal(content.length, answerSchema.parse(body).usage.completion_tokens);
    for (const { token, logprob, top_logprobs: top, bytes } of content) {
      assert.equal(top.length, 20);
      const total = top.reduce((sum, each) => sum + Math.exp(each.logprob), 0);
      assert.ok(total > 0.5 && total < 1.0001);
      assert.ok(
        top.every((each, index) => index === 0 || each.logprob <= at(top, index - 1).logprob),
      );
      assert.ok(logprob <= at(top, 0).logprob);
      assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), token);
    }
    const without = await ask({ logprobs: true });
    const plain = answerSchema.parse(without.body).choices[0]?.logprobs?.content ?? [];
    assert.ok(plain.length > 0 && plain.every((each) => each.top_logprobs.length === 0));
  });

  it('penalizes what has been said, and favours tokens', async () => {
    const free = { temperature: 0, max_tokens: 40, min_tokens: 40, no_repeat_reply_ngram_size: 0 };
    const different = (text: string | undefined) => new Set(text).size;
    const [plain] = await texts(free);
    const [penalized] = await texts({ ...free, frequency_penalty: 2, presence_penalty: 2 });
    assert.ok(different(penalized) > different(plain), `${plain} / ${penalized}`);
    const [favoured] = await texts({ ...free, logit_bias: { ...PLAIN, 33: 100 } });
    assert.equal(favoured, tokenizer.decode([33]).repeat(40));
  });

  it('counts lengths with the prompt, and never says runs of tokens', async () => {
    const favoured = { no_repeat_reply_ngram_size: 0, logit_bias: { ...PLAIN, 33: 100 } };
    const [alternating = ''] = await texts({ ...favoured, bad_words_ids: [[33, 33]] });
    const [one, two] = [tokenizer.decode([33]), tokenizer.decode([33, 33])];
    assert.ok(alternating.includes(one) && !alternating.includes(two), alternating);
    const long = answerSchema.parse(
      (await ask({ max_tokens: undefined, max_length: 20, min_length: 20 })).body,
    );
    assert.equal(long.usage.total_tokens, 20);
    const both = await ask({ max_tokens: 5, max_length: 5 });
    assert.equal(errorSchema.parse(both.body).error.param, 'max_length');
  });

  it('chooses among candidates, and tells them', async () => {
    const { body } = await ask({ num_candidates: 4, rerank: 'mmi', candidates: true });
    const [choice] = answerSchema.parse(body).choices;
    const candidates = choice?.candidates ?? [];
    assert.ok(candidates.length > 1);
    assert.equal(candidates[0]?.text, choice?.message.content);
    const finals = candidates.map(({ scores }) => scores.final ?? NaN);
    assert.deepEqual(
      finals,
      finals.toSorted((a, b) => b - a),
    );
    const beams = await texts({ num_beams: 3, seed: undefined });
    assert.deepEqual(await texts({ num_beams: 3, seed: undefined }), beams);
  });

  it('tells what the safety layer did', async (context) => {
    const [token = 0] = tokenizer.encode('hello');
    const word = tokenizer.decode([token]);
    const always = chat({ max_tokens: 1, logit_bias: { [token]: 100 } });
    const guarded = await servedModel(context, {
      model: path,
      defaults: { safety: true, blockList: [word] },
    });
    const { body } = await post(guarded, '/v1/chat/completions', always);
    const [choice] = answerSchema.parse(body).choices;
    assert.equal(choice?.finish_reason, 'content_filter');
    const actions = choice.interventions?.map(({ action }) => action);
    assert.deepEqual(actions, ['withheld', 'withheld', 'withheld', 'refused']);
    assert.ok(choice.interventions?.[0]?.message.includes(word));
    const response = await fetch(`${guarded.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...always, stream: true }),
    });
    const chunks = messagesOf(await response.text()).map((each) => chunkSchema.parse(each));
    const told = chunks.at(-1)?.choices[0]?.interventions?.map(({ action }) => action);
    assert.deepEqual(told, actions);
  });

  it('reads only what is new of the next turn', async () => {
    const opening = 'doing how are you there hello you are how doing';
    const first = [{ role: 'user', content: opening }];
    const [reply = ''] = await texts({ messages: first });
    const before = await metric(server, 'dialogpt_prompt_tokens_cached_total');
    const next = { messages: [...first, { role: 'assistant', content: reply }, ...HELLO] };
    const { usage } = answerSchema.parse((await ask(next)).body);
    const cached = usage.prompt_tokens_details.cached_tokens;
    const fresh = tokenizer.encode('hello there').length + 2;
    // The prompt and the reply are known but for the reply's end.
    assert.ok(usage.prompt_tokens - cached <= fresh + 2, `${usage.prompt_tokens} ${cached}`);
    assert.equal((await metric(server, 'dialogpt_prompt_tokens_cached_total')) - before, cached);
  });

  it('lists its models', async () => {
    const { body } = { body: await (await fetch(`${server.url}/v1/models`)).json() };
    const listed = z.object({ data: z.array(z.object({ id: z.string() })) }).parse(body);
    assert.deepEqual(
      listed.data.map(({ id }) => id),
      ['tiny'],
    );
    assert.equal((await fetch(`${server.url}/v1/models/tiny`)).status, 200);
    assert.equal((await fetch(`${server.url}/v1/models/gpt-4`)).status, 404);
  });

  it('describes itself', async () => {
    const document = z
      .object({ openapi: z.string(), paths: z.record(z.string(), z.unknown()) })
      .parse(await (await fetch(`${server.url}/openapi.json`)).json());
    assert.ok('/v1/chat/completions' in document.paths);
    assert.ok(JSON.stringify(document).includes('frequency_penalty'));
    assert.equal((await fetch(`${server.url}/ready`)).status, 200);
    const health = z
      .object({ status: z.string(), slots: z.number() })
      .parse(await (await fetch(`${server.url}/health`)).json());
    assert.deepEqual(health, { status: 'ok', slots: 4 });
    const figures = await (await fetch(`${server.url}/metrics`)).text();
    for (const name of [
      'dialogpt_http_requests_total',
      'dialogpt_time_to_first_token_seconds_bucket',
      'dialogpt_completion_tokens_total',
      'dialogpt_queue_length',
      'dialogpt_slots_busy',
      'nodejs_eventloop_lag_p99_seconds',
    ]) {
      assert.ok(figures.includes(`\n${name}`), name);
    }
  });

  const refused: readonly (readonly [string, Record<string, unknown>, number, string | null])[] = [
    ['no messages', { messages: [] }, 400, 'messages'],
    ['an unknown role', { messages: [{ role: 'king', content: 'x' }] }, 400, 'messages[0].role'],
    ['a tool', { messages: [{ role: 'tool', content: 'x' }, ...HELLO] }, 400, 'messages[0].role'],
    [
      'an image',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
      400,
      'messages[0].content[0]',
    ],
    [
      'an empty message',
      { messages: [{ role: 'user', content: ' ' }] },
      400,
      'messages[0].content',
    ],
    ['nobody to reply to', { messages: [{ role: 'assistant', content: 'x' }] }, 400, 'messages'],
    ['tools', { tools: [{ type: 'function' }] }, 400, 'tools'],
    ['JSON wanted', { response_format: { type: 'json_object' } }, 400, 'response_format'],
    ['an unknown field', { top_kk: 3 }, 400, 'top_kk'],
    ['a temperature', { temperature: 3 }, 400, 'temperature'],
    ['a text for a number', { max_tokens: 'many' }, 400, 'max_tokens'],
    ['five stop strings', { stop: ['a', 'b', 'c', 'd', 'e'] }, 400, 'stop'],
    ['a bias of no token', { logit_bias: { x: 1 } }, 400, 'logit_bias.x'],
    ['a forbidden token that is none', { bad_words_ids: [[99999]] }, 400, 'bad_words_ids'],
    ['a bias beyond the tokens', { logit_bias: { 99999: 1 } }, 400, 'logit_bias'],
    [
      'a bias beyond them in a stream',
      { logit_bias: { 99999: 1 }, stream: true },
      400,
      'logit_bias',
    ],
    ['probabilities without logprobs', { top_logprobs: 2 }, 400, 'top_logprobs'],
    ['beams and several choices', { num_beams: 2, n: 2 }, 400, 'n'],
    ['options that contradict', { num_beams: 2, temperature: 0.5 }, 400, 'temperature'],
    ['chance and no chance', { do_sample: false, min_p: 0.5 }, 400, 'min_p'],
    ['temperature 0 and chance', { do_sample: true, temperature: 0 }, 400, 'do_sample'],
    ['a ranker that is not there', { num_candidates: 2, rerank: 'ranker' }, 400, 'rerank'],
    ['candidates without chance', { num_candidates: 2, temperature: 0 }, 400, 'num_candidates'],
    ['more tokens than there may be', { min_tokens: 20 }, 400, 'min_tokens'],
    ['another model', { model: 'gpt-4' }, 404, 'model'],
  ];
  for (const [name, fields, status, param] of refused) {
    it(`refuses ${name}`, async () => {
      const answer = await ask(fields);
      const { error } = errorSchema.parse(answer.body);
      assert.equal(answer.status, status, error.message);
      assert.equal(error.param, param, error.message);
    });
  }

  it('says which field is missing, and what one takes', async () => {
    for (const [body, message, code] of [
      [{ messages: HELLO }, "Missing required parameter: 'model'.", 'missing_required_parameter'],
      [{ model: 'tiny' }, "Missing required parameter: 'messages'.", 'missing_required_parameter'],
      [
        chat({ messages: [{ content: 'x' }] }),
        "Invalid value for 'messages[0].role': ",
        'invalid_value',
      ],
      [
        chat({ stop: 5 }),
        "Invalid value for 'stop': it takes a string, or an array of up to four.",
        'invalid_value',
      ],
    ] as const) {
      const answer = await post(server, '/v1/chat/completions', body);
      const { error } = errorSchema.parse(answer.body);
      assert.equal(answer.status, 400);
      assert.ok(error.message.startsWith(message), error.message);
      assert.equal(error.code, code);
    }
  });

  it('reads all turns that fit, or as many as its model says', async (context) => {
    const messages = ['one', 'two', 'three'].map((content, index) => ({
      role: index === 1 ? 'assistant' : 'user',
      content,
    }));
    const count = async (path: string, defaults = {}) => {
      const own = await servedModel(context, { model: path, modelNames: ['tiny'], defaults });
      const answer = await post(own, '/v1/chat/completions', chat({ messages }));
      return answerSchema.parse(answer.body).usage.prompt_tokens;
    };
    const path = join(await temporaryFolder(context), 'own');
    await saveCheckpoint(path, checkpoint);
    const all = await count(path);
    await writeFile(join(path, 'generation_config.json'), '{ "max_history_turns": 1 }');
    assert.equal(await count(path), tokenizer.encode('three').length + 1);
    assert.equal(await count(path, { maxHistoryTurns: 0 }), all);
    assert.ok(all > tokenizer.encode('three').length + 1);
  });

  it('replies as its model says, in a stream too; several choices are drawn token by token', async (context) => {
    const path = join(await temporaryFolder(context), 'own');
    await saveCheckpoint(path, checkpoint);
    const beams = { num_beams: 3, do_sample: true, temperature: 0.8, length_penalty: 0.6 };
    await writeFile(join(path, 'generation_config.json'), JSON.stringify(beams));
    const own = await servedModel(context, { model: path, modelNames: ['tiny'] });
    const texts = async (fields: Readonly<Record<string, unknown>>) => {
      const { body } = await post(own, '/v1/chat/completions', chat({ seed: 5, ...fields }));
      return answerSchema.parse(body).choices.map(({ message }) => message.content);
    };
    const told = await texts({});
    assert.deepEqual(told, await texts(beams));
    assert.equal((await texts({ length_penalty: 2 })).length, 1);
    const single = await texts({ ...beams, num_beams: 1, length_penalty: undefined });
    assert.notDeepEqual(told, single);
    assert.deepEqual((await texts({ n: 2 })).slice(0, 1), single);
    assert.deepEqual(await texts({ logprobs: true }), single);

    const request = JSON.stringify(chat({ seed: 5, stream: true }));
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: request };
    const stream = await (await fetch(`${own.url}/v1/chat/completions`, init)).text();
    const pieces = messagesOf(stream).flatMap((message) =>
      chunkSchema.parse(message).choices.map(({ delta }) => delta.content ?? ''),
    );
    assert.deepEqual([pieces.join('')], told);
  });
});
