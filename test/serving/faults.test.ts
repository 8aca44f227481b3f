import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import type { ModelTask } from '../../src/decoding/index.js';
import { eventStream } from '../../src/serving/event-stream.js';
import { addPath, type Extension, type RunningServer } from '../../src/serving/index.js';
import {
  type Answer,
  chat,
  errorSchema,
  messagesOf,
  metric,
  post,
  savedModel,
  servedModel,
} from '../support/serving.js';

const CHAT = '/v1/chat/completions';

/** Asks for a reply that goes on for a while. */
function long(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return chat({ max_tokens: 900, min_tokens: 900, no_repeat_reply_ngram_size: 0, ...fields });
}

const chunkSchema = z.object({ done: z.boolean(), value: z.instanceof(Uint8Array).optional() });

/** Starts a stream and waits for its first bytes. */
async function openStream(
  server: RunningServer,
  body: unknown,
): Promise<{ readonly rest: () => Promise<string>; readonly leave: () => void }> {
  const controller = new AbortController();
  const response = await fetch(server.url + CHAT, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: controller.signal,
  });
  assert.equal(response.status, 200);
  const reader = response.body?.getReader();
  assert.ok(reader !== undefined);
  const decoder = new TextDecoder();
  const read = async () => chunkSchema.parse(await reader.read());
  const first = await read();
  return {
    leave: () => {
      controller.abort();
    },
    rest: async () => {
      let text = decoder.decode(first.value, { stream: true });
      for (;;) {
        const { done, value } = await read();
        if (done) return text;
        text += decoder.decode(value, { stream: true });
      }
    },
  };
}

/** Waits until something holds. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await setTimeout(20);
  }
  assert.fail(`It never came that ${what}.`);
}

function assertError({ status, body }: Answer, expected: number, code: string): void {
  assert.equal(status, expected, JSON.stringify(body));
  assert.equal(errorSchema.parse(body).error.code, code);
}

/** What the server says to bytes as they stand. */
async function raw(server: RunningServer, bytes: string): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  socket.end(bytes);
  return textOf(socket);
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (data) => {
    text += data.toString();
  });
  socket.on('error', () => undefined);
  if (!socket.closed) await once(socket, 'close');
  return text;
}

describe('a server under faults', () => {
  let path = '';
  let remove: () => Promise<void>;
  before(async () => {
    ({ path, remove } = await savedModel());
  });
  after(() => remove());

  it('answers what is no request in the shape of OpenAI', async (context) => {
    const server = await servedModel(context, { model: path });
    assertError(await post(server, CHAT, '{"model": '), 400, 'invalid_json');
    assert.equal((await post(server, CHAT, '[]')).status, 400);
    assert.equal((await post(server, CHAT, 'null')).status, 400);
    const typed = await post(server, CHAT, chat(), { 'content-type': 'text/plain' });
    assertError(typed, 415, 'unsupported_media_type');
    assertError(await post(server, '/v1/chat', chat()), 404, 'unknown_url');
    const wrongMethod = await fetch(server.url + CHAT, { method: 'DELETE' });
    assert.equal(wrongMethod.status, 405);
    assert.equal(wrongMethod.headers.get('allow'), 'POST');
    errorSchema.parse(await wrongMethod.json());

    const head = 'Host: localhost\r\nConnection: close\r\n\r\n';
    for (const traversal of ['/../../etc/passwd', '/v1/models/..%2f..%2fetc%2fpasswd', '//etc']) {
      const answer = await raw(server, `GET ${traversal} HTTP/1.1\r\n${head}`);
      assert.match(answer, /^HTTP\/1\.1 404 /);
      assert.doesNotMatch(answer, /root:/);
    }
    assert.match(await raw(server, 'no HTTP at all\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.match(
      await raw(server, `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n${head}`),
      /^HTTP\/1\.1 431 /,
    );
    // A line end in a path or value does not become a header of the answer.
    const injected = await raw(server, `GET /x%0d%0aset-cookie:%20a=b HTTP/1.1\r\n${head}`);
    assert.doesNotMatch(injected.split('\r\n\r\n')[0] ?? '', /set-cookie/i);
    const smuggled = `POST ${CHAT} HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n${head}0\r\n\r\n`;
    assert.match(await raw(server, smuggled), /^HTTP\/1\.1 400 /);
    assert.equal((await post(server, CHAT, chat())).status, 200);
  });

  it('reads no more of a body of 100 MB than it must', async (context) => {
    const server = await servedModel(context, { model: path });
    const before = process.memoryUsage().rss;
    const piece = Buffer.alloc(1 << 20, ' ');
    for (const headers of [{}, { 'content-length': String(100 * piece.length) }]) {
      const request = httpRequest(server.url + CHAT, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
      });
      let status: number | undefined;
      let ended = false;
      request.on('response', (response) => {
        status = response.statusCode;
        response.resume();
      });
      const end = () => {
        ended = true;
      };
      request.on('error', end).on('close', end);
      for (let sent = 0; sent < 100 && !isTrue(ended); sent++) {
        if (request.write(piece)) continue;
        await Promise.race([once(request, 'drain').catch(() => undefined), setTimeout(200)]);
      }
      request.end();
      await until('the request ends', () => ended);
      assert.ok(status === 413 || status === undefined, String(status));
    }
    assert.ok(process.memoryUsage().rss - before < 80e6);
    const refused = await post(server, CHAT, ' '.repeat(2 ** 20 + 1));
    assertError(refused, 413, 'request_too_large');
    assert.equal((await post(server, CHAT, chat())).status, 200);
  });

  it('lets in who shows a key', async (context) => {
    const server = await servedModel(context, { model: path, apiKeys: ['one', 'two'] });
    assertError(await post(server, CHAT, chat()), 401, 'invalid_api_key');
    for (const wrong of ['Bearer wrong', 'Bearer', 'Basic one', 'Bearer one two', 'one']) {
      const answer = await post(server, CHAT, chat(), { authorization: wrong });
      assertError(answer, 401, 'invalid_api_key');
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
    }
    for (const key of ['one', 'two']) {
      const answer = await post(server, CHAT, chat(), { authorization: `Bearer ${key}` });
      assert.equal(answer.status, 200);
    }
    assert.equal((await fetch(`${server.url}/metrics`)).status, 401);
    assert.equal((await fetch(`${server.url}/health`)).status, 200);
  });

  it('refuses to be open to everybody, and names of other machines', async (context) => {
    await assert.rejects(servedModel(context, { model: path, host: '0.0.0.0' }), {
      name: 'UserError',
      message: /give an --api-key/,
    });
    const server = await servedModel(context, { model: path, allowedHosts: ['chat.example'] });
    const ask = (host: string) =>
      raw(server, `GET /v1/models HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    for (const host of ['localhost', '127.0.0.1:1', '[::1]:80', 'chat.example:443', 'LOCALHOST']) {
      assert.match(await ask(host), /^HTTP\/1\.1 200 /, host);
    }
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example']) {
      assert.match(await ask(host), /^HTTP\/1\.1 403 /, host);
    }
    await assert.rejects(servedModel(context, { model: path, port: server.port }), {
      message: /something else listens there/,
    });
  });

  it('shares with the sites that it is told of alone', async (context) => {
    const closed = await servedModel(context, { model: path });
    const origin = { origin: 'https://site.example' };
    const plain = await fetch(`${closed.url}/v1/models`, { headers: origin });
    assert.equal(plain.headers.get('access-control-allow-origin'), null);
    const open = await servedModel(context, {
      model: path,
      apiKeys: ['key'],
      corsOrigins: ['https://site.example'],
    });
    const preflight = await fetch(open.url + CHAT, {
      method: 'OPTIONS',
      headers: { ...origin, 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://site.example');
    const other = await fetch(`${open.url}/v1/models`, {
      headers: { origin: 'https://evil.example', authorization: 'Bearer key' },
    });
    assert.equal(other.headers.get('access-control-allow-origin'), null);
  });

  it('limits the rate of each caller', async (context) => {
    const server = await servedModel(context, { model: path, rateLimit: 2, apiKeys: ['a', 'b'] });
    const ask = (key: string) =>
      fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    assert.deepEqual([(await ask('a')).status, (await ask('a')).status], [200, 200]);
    const refused = await ask('a');
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.equal(errorSchema.parse(await refused.json()).error.code, 'rate_limit_exceeded');
    assert.equal((await ask('b')).status, 200);
  });

  it('frees the slot of a client that goes away', async (context) => {
    const server = await servedModel(context, { model: path, loading: { slots: 1 } });
    const { pool } = server.services;
    const stream = await openStream(server, long({ stream: true }));
    assert.equal(pool.busy, 1);
    stream.leave();
    await until('the slot is free', () => pool.busy === 0);
    const tokens = () => metric(server, 'dialogpt_completion_tokens_total');
    await until('the request is counted', async () => (await tokens()) > 0);
    assert.ok((await tokens()) < 900);
    // One that does not stream goes away too.
    const controller = new AbortController();
    const body = JSON.stringify(long());
    const headers = { 'content-type': 'application/json' };
    const { signal } = controller;
    const asked = fetch(server.url + CHAT, { method: 'POST', headers, body, signal });
    await until('the slot is taken', () => pool.busy === 1);
    controller.abort();
    await assert.rejects(asked);
    await until('the slot is free', () => pool.busy === 0);
    assert.equal((await post(server, CHAT, chat())).status, 200);
  });

  it('has a queue that ends', async (context) => {
    const server = await servedModel(context, { model: path, maxQueue: 1, loading: { slots: 1 } });
    const { pool } = server.services;
    const running = await openStream(server, long({ stream: true }));
    const waiting = post(server, CHAT, chat());
    await until('one waits', () => pool.waiting === 1);
    const refused = await post(server, CHAT, chat({ stream: true }));
    assertError(refused, 429, 'queue_full');
    assert.ok(Number(refused.headers.get('retry-after')) >= 1);
    running.leave();
    assert.equal((await waiting).status, 200);
    // Choices of a request that has been let in are not refused.
    assert.equal((await post(server, CHAT, chat({ n: 5 }))).status, 200);
  });

  it('ends what takes too long', async (context) => {
    const server = await servedModel(context, {
      model: path,
      requestTimeout: 0.15,
      loading: { slots: 1 },
    });
    assertError(await post(server, CHAT, long()), 504, 'request_timeout');
    const stream = await openStream(server, long({ stream: true }));
    const text = await stream.rest();
    assert.throws(() => messagesOf(text), /has no end/);
    assert.match(text, /"code":"request_timeout"/);
    await until('the slot is free', () => server.services.pool.busy === 0);
  });

  it('starts a thread that was lost anew; who waited is answered, who heard something is told', async (context) => {
    const expected = (await post(await servedModel(context, { model: path }), CHAT, chat())).body;
    const server = await servedModel(context, { model: path, loading: { slots: 1 } });
    const { pool } = server.services;
    const stream = await openStream(server, long({ stream: true }));
    const waiting = post(server, CHAT, chat());
    await until('one waits', () => pool.waiting === 1);
    await pool.model[Symbol.asyncDispose]();
    const text = await stream.rest();
    assert.match(text, /"code":"model_lost"/);
    assert.throws(() => messagesOf(text), /has no end/);
    const { status, body } = await waiting;
    assert.equal(status, 200);
    assert.equal(contentOf(body), contentOf(expected));
    assert.equal(pool.ready, true);
    assert.equal(await metric(server, 'dialogpt_model_losses_total'), 1);
    // One that runs but has said nothing is begun anew, once; this time the thread crashes.
    const silent = post(
      server,
      CHAT,
      long({ num_candidates: 2, max_tokens: 300, min_tokens: 300 }),
    );
    await until('it runs', () => pool.busy === 1);
    const crash = async () => {
      const garbage = z.custom<ModelTask>().parse('garbage');
      for await (const event of pool.model.ask(garbage)) assert.fail(event.type);
    };
    await assert.rejects(crash(), { name: 'ModelLostError' });
    assert.equal((await silent).status, 200);
    assert.equal(await metric(server, 'dialogpt_model_losses_total'), 2);
  });

  it('keeps no slot for a reader that is slow, and ends with it', async (context) => {
    // A long answer that is ready at once: 20 MB, more than what is under way can hold.
    const extension: Extension = (app, { log }) => {
      addPath(app, '/long', {
        GET: (asked) =>
          eventStream(asked, log, async (send) => {
            for (let count = 0; count < 5000; count++) send('x'.repeat(4000));
            await Promise.resolve();
          }),
      });
    };
    const server = await servedModel(context, {
      model: path,
      requestTimeout: 1,
      loading: { slots: 1 },
      extensions: [extension],
    });
    const slow = connect(server.port, '127.0.0.1');
    slow.pause();
    const body = JSON.stringify(long({ stream: true, max_tokens: 50, min_tokens: 50 }));
    const head = 'HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    slow.write(`POST ${CHAT} ${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    slow.write(`GET /long ${head}\r\n`);
    const { pool } = server.services;
    await until('it runs', () => pool.busy > 0);
    await until('it is generated', () => pool.busy === 0);
    const cut = 'dialogpt_http_requests_total{method="GET",route="/long",status="499"}';
    await until('the connection is cut', async () => (await metric(server, cut)) === 1);
    assert.equal((await post(server, CHAT, chat())).status, 200);
    slow.destroy();
  });

  it('cuts connections that say nothing', async (context) => {
    const server = await servedModel(context, { model: path, headersTimeout: 0.3 });
    const silent = connect(server.port, '127.0.0.1');
    const half = connect(server.port, '127.0.0.1');
    half.write(`POST ${CHAT} HTTP/1.1\r\nHost: local`);
    const body = connect(server.port, '127.0.0.1');
    body.write(
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    const [, halfAnswer] = await Promise.all([textOf(silent), textOf(half), textOf(body)]);
    assert.match(halfAnswer, /^HTTP\/1\.1 408 /);
    assert.equal((await post(server, CHAT, chat())).status, 200);
  });

  it('lets answers under way end before it goes, but not for ever', async (context) => {
    const server = await servedModel(context, { model: path });
    const stream = await openStream(
      server,
      long({ stream: true, max_tokens: 200, min_tokens: 200 }),
    );
    const closing = server.close(20);
    await assert.rejects(fetch(`${server.url}/health`));
    assert.ok(messagesOf(await stream.rest()).length > 100);
    await closing;

    const other = await servedModel(context, { model: path });
    const cut = await openStream(other, long({ stream: true, n: 8 }));
    const closed = other.close(0);
    const text = await cut.rest();
    assert.match(text, /"code":"shutting_down"/);
    await closed;
  });
});

/** What an answer says. */
function contentOf(body: unknown): string {
  const message = z.object({ content: z.string() });
  const answer = z.object({ choices: z.tuple([z.object({ message })]) }).parse(body);
  return answer.choices[0].message.content;
}

/** Keeps the compiler from taking a variable that listeners change for a constant. */
function isTrue(value: boolean): boolean {
  return value;
}
