import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { text } from 'node:stream/consumers';
import { range } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { textOf } from '../support/streams.js';
import { Dashboard, type StepReport } from '../../src/training/index.js';

const step = (number: number): StepReport => ({
  step: number,
  steps: 10,
  epoch: 1,
  loss: 5 / number,
  learningRate: 1e-3,
  gradientNorm: 0.25,
  tokens: 100 * number,
  seconds: number,
});

/** Reads a stream of events until all of `words` have come; returns what came. */
async function readUntil(response: Response, words: readonly string[]): Promise<string> {
  const pieces: string[] = [];
  let missing = words;
  let end = '';
  for await (const piece of textOf(response)) {
    pieces.push(piece);
    // A word may lie across two pieces.
    const recent = end + piece;
    missing = missing.filter((word) => !recent.includes(word));
    if (missing.length === 0) break;
    end = recent.slice(-100);
  }
  return pieces.join('');
}

describe('Dashboard', () => {
  it('serves a page, what happens as it happens, and the curves; and ends with the run', async () => {
    const dashboard = await Dashboard.start({ run: 'my <run>', port: 0 });
    const page = await fetch(dashboard.url);
    assert.match(await page.text(), /my &#60;run&#62;/);
    const events = await fetch(new URL('events', dashboard.url));
    for (const number of range(1, 4)) dashboard.step(step(number));
    dashboard.validation({ step: 3, loss: 2, perplexity: 9, sequencePerplexity: 8, labels: 4 });
    dashboard.samples([{ turn: 'Hello', reply: 'Hi there' }]);
    const news = await readUntil(events, ['"step":3', '"perplexity":8', 'Hi there']);
    assert.match(news, /event: news\ndata: \{.*"speed":100/);
    const curves = await fetch(new URL('curves.svg', dashboard.url));
    assert.equal(curves.headers.get('content-type'), 'image/svg+xml');
    assert.match(await curves.text(), /^<svg.*Training loss.*Held-out perplexity/s);
    assert.equal((await fetch(new URL('other', dashboard.url))).status, 404);

    const last = await fetch(new URL('events', dashboard.url));
    const rest = last.text();
    await dashboard[Symbol.asyncDispose]();
    assert.match(await rest, /event: end/);
    await assert.rejects(fetch(dashboard.url));
  });

  it('answers this machine only, by its own name', async () => {
    await using dashboard = await Dashboard.start({ run: 'run', port: 0 });
    const asked = request(dashboard.url, { headers: { host: 'elsewhere.example' } });
    asked.end();
    const answers: unknown[] = await once(asked, 'response');
    const [answer] = answers;
    assert.ok(typeof answer === 'object' && answer !== null && 'statusCode' in answer);
    assert.equal(answer.statusCode, 403);
    asked.destroy();
  });

  it('says that a port is taken', async () => {
    await using first = await Dashboard.start({ run: 'run', port: 0 });
    const port = Number(new URL(first.url).port);
    await assert.rejects(Dashboard.start({ run: 'run', port }), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, new RegExp(`Port ${port} is taken`));
      return true;
    });
  });

  it('drops a reader who does not read', async () => {
    await using dashboard = await Dashboard.start({ run: 'run', port: 0 });
    const events = new URL('events', dashboard.url);
    /** Waits until new readers are greeted with these samples. */
    const greeted = async (samples: string) => {
      while (!(await readUntil(await fetch(events), ['\n\n'])).includes(samples));
    };
    const reply = 'x'.repeat(3e7);
    dashboard.samples([{ turn: 'Hello', reply }]);
    await greeted('xxx');
    const socket = connect(Number(events.port), '127.0.0.1');
    socket.on('error', () => undefined);
    const ended = once(socket, 'close');
    socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'readable');
    // The next news finds the backlog, and is still served to others.
    dashboard.samples([]);
    await greeted('"samples":[]');
    const other = await fetch(events);
    dashboard.step(step(1));
    await readUntil(other, ['"step":1']);
    socket.resume();
    await ended;
    assert.ok(socket.bytesRead < reply.length, `${socket.bytesRead} bytes were read`);
  });

  it('does not keep a program from ending', async () => {
    const dashboard = await Dashboard.start({ run: 'run', port: 0 });
    const held = await fetch(new URL('events', dashboard.url));
    const started = performance.now();
    await dashboard[Symbol.asyncDispose]();
    assert.ok(performance.now() - started < 10_000);
    assert.ok(held.body !== null);
    await text(held.body);
  });
});
