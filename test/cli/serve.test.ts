import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { type Running, runCommand, startCommand } from '../support/command.js';
import { chat, post, savedModel } from '../support/serving.js';

const readySchema = z.object({ event: z.literal('ready'), url: z.string(), port: z.number() });

/** Starts `dialogpt serve` and waits until it is ready. */
async function serve(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Running & { readonly url: string }> {
  const running = startCommand(
    ['serve', '--port', '0', '--json', '--threads', '1', '--no-web', ...words],
    {
      env,
    },
  );
  const lines = createInterface({ input: running.process.stdout });
  const line = z.tuple([z.string()]).parse(await once(lines, 'line'));
  const { url } = readySchema.parse(JSON.parse(line[0]));
  return { ...running, url };
}

describe('dialogpt serve', () => {
  let path = '';
  let remove: () => Promise<void>;
  before(async () => {
    ({ path, remove } = await savedModel());
  });
  after(() => remove());

  it('lets answers end at SIGTERM, and logs no texts', async () => {
    const server = await serve(['--model', path, '--api-key', 'one', '--slots', '2'], {
      DIALOGPT_API_KEY: 'two',
    });
    const authorization = { authorization: 'Bearer two' };
    assert.equal((await post(server, '/v1/chat/completions', chat())).status, 401);
    const body = chat({ max_tokens: 300, min_tokens: 300, no_repeat_reply_ngram_size: 0 });
    const streamed = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization },
      body: JSON.stringify({ ...body, stream: true }),
    });
    server.process.kill('SIGTERM');
    const text = await streamed.text();
    assert.ok(text.endsWith('data: [DONE]\n\n'));
    const { code, stderr } = await server.ended;
    assert.equal(code, 0, stderr);
    const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
    const logged = z.object({ route: z.string(), status: z.number(), request: z.string() });
    const statuses = lines.map((line) => logged.parse(JSON.parse(line)).status);
    assert.deepEqual(statuses, [401, 200]);
    assert.doesNotMatch(stderr, /hello there|Bearer|two/);
  });

  it('can be killed and started again', async () => {
    const words = ['--model', path, '--model-name', 'tiny', 'other', '--log-messages'];
    const server = await serve(words);
    const cut = fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(chat({ max_tokens: 900, min_tokens: 900, stream: true })),
    }).then((response) => response.text());
    cut.catch(() => undefined);
    await fetch(`${server.url}/health`);
    server.process.kill('SIGKILL');
    await assert.rejects(cut);
    await server.ended;
    const again = await serve([...words, '--port', new URL(server.url).port]);
    assert.equal(again.url, server.url);
    assert.equal((await post(again, '/v1/chat/completions', chat({ model: 'other' }))).status, 200);
    again.process.kill('SIGINT');
    const { code, stderr } = await again.ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /"messages":\[\{"role":"user","content":"hello there"/);
  });

  it('says what is wrong', async () => {
    const open = await runCommand(['serve', '--model', path, '--host', '0.0.0.0']);
    assert.equal(open.code, 1);
    assert.match(open.stderr, /give an --api-key, or --allow-unauthenticated/);
    const none = await runCommand(['serve', '--model', `${path}-none`]);
    assert.equal(none.code, 1);
    assert.doesNotMatch(none.stderr, /unexpected/);
    assert.equal((await runCommand(['serve', '--model', path, '--port', '70000'])).code, 2);
    assert.equal((await runCommand(['serve', '--model', path, '--block-list', 'x'])).code, 2);
  });
});
