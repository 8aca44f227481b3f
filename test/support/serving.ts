import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { z } from 'zod';
import { range } from '../../src/base/arrays.js';
import { freshCheckpoint, saveCheckpoint } from '../../src/checkpoint/index.js';
import { type RunningServer, type ServerOptions, startServer } from '../../src/serving/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';

export const tokenizer = new Tokenizer(trainVocabulary(['hello there how are you doing'], 270));

// Wide weights, so that replies are not all of one token.
const config = { n_positions: 1024, n_embd: 32, n_layer: 2, n_head: 4, initializer_range: 0.4 };

/** The model that {@link savedModel} saves. */
export const checkpoint = freshCheckpoint(tokenizer, config, 17);

/** Keeps a model that knows nothing to plain characters. */
export const PLAIN: Readonly<Record<string, number>> = Object.fromEntries(
  range(0, tokenizer.endOfText)
    .filter((token) => !/^[ -~]+$/.test(tokenizer.decode([token])))
    .map((token) => [String(token), -100]),
);

/** Saves a tiny model called `tiny` in a folder of its own; `remove` when done. */
export async function savedModel(): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  const path = join(folder, 'tiny');
  await saveCheckpoint(path, checkpoint);
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A server that goes when the test ends. */
export async function servedModel(
  context: TestContext,
  options: ServerOptions,
): Promise<RunningServer> {
  const server = await startServer({
    port: 0,
    logLevel: 'silent',
    ...options,
    loading: { threads: 1, ...options.loading },
  });
  context.after(() => server.close());
  return server;
}

/** How an answer counts tokens. */
export const usageSchema = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  total_tokens: z.number(),
  prompt_tokens_details: z.object({ cached_tokens: z.number() }),
});

/** An answer's status, headers and JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** Posts JSON, or text as it stands. */
export async function post(
  server: Pick<RunningServer, 'url'>,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** The messages of an event stream; the last must be `[DONE]`, which is left out. */
export function messagesOf(stream: string): unknown[] {
  const lines = stream.split('\n\n').filter((line) => line !== '');
  const texts = lines.map((line) => line.replace(/^data: /, ''));
  if (texts.pop() !== '[DONE]') throw new Error(`The stream has no end: ${stream}`);
  return texts.map((text): unknown => JSON.parse(text));
}

/** One user message for {@link chat}. */
export const HELLO = [{ role: 'user', content: 'hello there' }] as const;

/** A body for `/v1/chat/completions` that is answered in plain characters. */
export function chat(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { model: 'tiny', messages: HELLO, seed: 3, max_tokens: 12, logit_bias: PLAIN, ...fields };
}

/** An error in OpenAI's shape. */
export const errorSchema = z.strictObject({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.string().min(1),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

/** The value of a metric, its labels as written; 0 if there is none. */
export async function metric(server: RunningServer, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}
