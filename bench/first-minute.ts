import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { range } from '../src/base/arrays.js';
import { messageOf } from '../src/base/errors.js';
import { launchBrowser, newPage } from '../test/support/browser.js';
import { type Benchmark, formatTable, median, quantile, temporaryFolder } from './benchmark.js';
import { startServer } from './server.js';

/** How often the server is started. */
const STARTS = 5;

/** What is said to the model in the box: sentences that it has not been chosen by. */
const SAID = join(import.meta.dirname, '../../docs/model-card-fresh-prompts.txt');

const createdSchema = z.object({ id: z.string() });

/** Seconds from some moment to the first words of a reply, and to its end. */
interface Waits {
  readonly first: number;
  readonly end: number;
}

/**
 * What somebody waits for who has just got the program: `dialogpt serve` with the model in the box
 * until its page is open and has answered (with Chromium), and the first words of each reply.
 */
export const firstMinuteBenchmark: Benchmark = {
  description:
    'dialogpt serve with the model in the box: seconds from its start to an open page and the first answer (in Chromium), milliseconds to the first words of replies',
  run: async (print) => {
    await using temporary = await temporaryFolder();
    const folder = temporary.path;
    const starts = await measureStarts(folder, print);
    const waits = await measureWaits(folder, print);
    return { benchmark: 'first-minute', ...starts, ...waits };
  },
};

/** Starts the server, opens its page, and says hello. */
async function measureStarts(
  folder: string,
  print: (line: string) => void,
): Promise<Record<string, number>> {
  const browser = await launchBrowser().catch((error: unknown) => {
    print(`The page: not measured: ${messageOf(error)}`);
  });
  if (browser === undefined) return {};
  const moments: { readonly opened: number; readonly begun: number; readonly ended: number }[] = [];
  try {
    for (const start of range(0, STARTS)) {
      const page = await newPage(browser);
      const started = performance.now();
      const since = () => (performance.now() - started) / 1000;
      await using server = await startServer(['--conversations', join(folder, `${start}.sqlite`)]);
      await page.goto(server.url);
      const message = page.getByLabel('Message', { exact: true });
      await message.waitFor();
      const opened = since();
      await message.fill('Hello! How are you?');
      await page.keyboard.press('Enter');
      // While it is put in its place, it is there twice.
      await page.locator('.message.assistant', { hasText: /\w/ }).first().waitFor();
      const begun = since();
      await page.getByRole('button', { name: 'Regenerate' }).waitFor();
      moments.push({ opened, begun, ended: since() });
      await page.close();
    }
  } finally {
    await browser.close();
  }
  const row = (name: string, seconds: readonly number[]) => [
    name,
    ...[median(seconds), Math.min(...seconds), Math.max(...seconds)].map((each) => each.toFixed(2)),
  ];
  const figures = {
    'the page is open': moments.map(({ opened }) => opened),
    'the first reply begins': moments.map(({ begun }) => begun),
    'it has ended': moments.map(({ ended }) => ended),
  };
  print(
    formatTable([
      [`seconds after the start, of ${STARTS}`, 'median', 'from', 'to'],
      ...Object.entries(figures).map(([name, seconds]) => row(name, seconds)),
    ]),
  );
  return {
    pageSeconds: median(figures['the page is open']),
    answerSeconds: median(figures['it has ended']),
  };
}

/** Says each sentence first in a conversation of its own. */
async function measureWaits(
  folder: string,
  print: (line: string) => void,
): Promise<Record<string, number>> {
  const said = (await readFile(SAID, 'utf8')).trim().split('\n');
  await using server = await startServer(['--conversations', join(folder, 'waits.sqlite')]);
  const ways = {
    'the chat page': (text: string) => onThePage(server.url, text),
    "OpenAI's API": (text: string) => throughTheApi(server.url, text),
  };
  const rows: string[][] = [];
  const figures: Record<string, number> = {};
  for (const [name, say] of Object.entries(ways)) {
    await say('Hello!');
    const waits: Waits[] = [];
    for (const text of said) waits.push(await say(text));
    for (const what of ['first', 'end'] as const) {
      const all = waits.map((each) => 1000 * each[what]);
      const shares = [0.5, 0.95, 1].map((share) => quantile(all, share));
      rows.push([
        `${name}: ${what === 'first' ? 'first words' : 'whole reply'}`,
        ...shares.map((each) => each.toFixed(0)),
      ]);
      figures[`${name}, ${what}`] = Math.round(quantile(all, 0.95));
    }
  }
  print(
    formatTable([[`milliseconds, of ${said.length} first turns`, 'p50', 'p95', 'most'], ...rows]),
  );
  return figures;
}

/** As the chat page does: a new conversation, the message, and its reply as it comes. */
async function onThePage(url: string, text: string): Promise<Waits> {
  const path = `${url}/api/conversations`;
  const { id } = createdSchema.parse(await (await post(path, {})).json());
  const message = await post(`${path}/${id}/messages`, { content: text });
  const parent = createdSchema.parse(await message.json()).id;
  return waitsOf(() => post(`${path}/${id}/replies`, { parent }));
}

function throughTheApi(url: string, text: string): Promise<Waits> {
  const messages = [{ role: 'user', content: text }];
  return waitsOf(() =>
    post(`${url}/v1/chat/completions`, { model: 'small-talk', messages, stream: true }),
  );
}

async function post(url: string, body: unknown): Promise<Response> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response;
}

/** Reads an event stream to its end. */
async function waitsOf(ask: () => Promise<Response>): Promise<Waits> {
  const asked = performance.now();
  const since = () => (performance.now() - asked) / 1000;
  const { body } = await ask();
  const decoder = new TextDecoder();
  let first: number | undefined;
  let read = '';
  for await (const part of body ?? []) {
    read += decoder.decode(z.instanceof(Uint8Array).parse(part), { stream: true });
    // A word, not only who speaks.
    if (/"(?:text|content)":"[^"]*\w/.test(read)) first ??= since();
  }
  if (first === undefined || !read.includes('[DONE]')) throw new Error(`No reply: ${read}`);
  return { first, end: since() };
}
