import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { UserError } from '../../src/base/errors.js';
import {
  type BrowserModel,
  fetchModel,
  type GenerationOptions,
  loadModel,
} from '../../src/browser/index.js';
import { portableFolder, saveCheckpoint, saveInt8Checkpoint } from '../../src/checkpoint/index.js';
import { Random } from '../../src/base/random.js';
import { LoraAdapter } from '../../src/model/index.js';
import { DialogModel, type LoadOptions } from '../../src/decoding/index.js';
import {
  browserModel,
  pages,
  type RunningServer,
  type ServerOptions,
} from '../../src/serving/index.js';
import { launchBrowser, SOFTWARE_WEBGPU, withoutBrowser, newPage } from '../support/browser.js';
import { temporaryFolder } from '../support/files.js';
import { checkpoint, savedModel, servedModel } from '../support/serving.js';

const GREEDY = { doSample: false, maxNewTokens: 12 };

/** The same in a `generation_config.json` that draws, as candidates need it. */
const GREEDY_FILE = { top_k: 1, max_new_tokens: 12 };

/** The page where replies can be foreseen. */
const PAGE = `/browser?options=${encodeURIComponent(JSON.stringify(GREEDY))}`;

let model = '';
let remove: () => Promise<void>;

async function served(
  context: TestContext,
  path: string,
  dtype: 'fp32' | 'int8' = 'fp32',
  options: Partial<ServerOptions> = {},
): Promise<RunningServer> {
  const extensions = [await pages(), browserModel(path, dtype)];
  return servedModel(context, { model: path, extensions, ...options });
}

/** What the library says in Node.js where it takes the likeliest tokens. */
async function repliesInNode(
  path: string,
  said: readonly string[],
  options: LoadOptions = {},
): Promise<string[]> {
  await using loaded = await DialogModel.load(path, { threads: 1, exact: true, ...options });
  const turns: string[] = [];
  for (const text of said) {
    turns.push(text);
    let reply = '';
    for await (const piece of loaded.reply(turns, GREEDY)) reply += piece;
    turns.push(reply);
  }
  return turns;
}

before(async () => {
  ({ path: model, remove } = await savedModel());
});
after(() => remove());

/** The model of `path` as the server gives it out, loaded as a browser loads it. */
async function loadedAsInBrowser(path: string, dtype: 'fp32' | 'int8'): Promise<BrowserModel> {
  const { files } = await portableFolder(path, dtype);
  const contents = new Map<string, Uint8Array>();
  for (const file of files) {
    const content: AsyncIterable<Uint8Array> | Iterable<Uint8Array> = file.content();
    const pieces: Uint8Array[] = [];
    for await (const piece of content) pieces.push(piece);
    const bytes = Buffer.concat(pieces);
    assert.equal(bytes.length, file.size);
    contents.set(file.name, bytes);
  }
  const text = (name: string) => new TextDecoder().decode(contents.get(name));
  const json = (name: string): unknown => JSON.parse(text(name));
  const contained = {
    config: json('config.json'),
    vocabulary: json('vocab.json'),
    merges: text('merges.txt'),
    weights: contents.get('model.safetensors') ?? new Uint8Array(),
  };
  // Threads are for browsers: in Node.js this build of the runtime has one.
  return loadModel(contained, { threads: 1 });
}

async function replyOf(loaded: BrowserModel, options: GenerationOptions = GREEDY): Promise<string> {
  let reply = '';
  for await (const piece of loaded.reply(['hello there'], options)) reply += piece;
  return reply;
}

describe('a model as a browser loads it', () => {
  it('replies as the library does, from every kind of weights', async (context) => {
    const folder = await temporaryFolder(context);
    const halves = join(folder, 'halves');
    await saveCheckpoint(halves, checkpoint, 'F16');
    const bytes = join(folder, 'bytes');
    await saveInt8Checkpoint(bytes, model);
    for (const [path, dtype] of [
      [model, 'fp32'],
      [halves, 'fp32'],
      [bytes, 'int8'],
    ] as const) {
      await using loaded = await loadedAsInBrowser(path, dtype);
      const exact = dtype === 'fp32';
      const [, expected] = await repliesInNode(path, ['hello there'], { dtype, exact });
      assert.equal(await replyOf(loaded), expected, path);
    }
  });

  it('replies as its own generation_config.json says where nothing is said', async (context) => {
    const path = join(await temporaryFolder(context), 'own');
    await saveCheckpoint(path, checkpoint);
    const own = { ...GREEDY_FILE, num_candidates: 4, rerank: 'mmi', reverse_model: path };
    await writeFile(join(path, 'generation_config.json'), JSON.stringify(own));
    const server = await served(context, path);
    const folder = `${server.url}/api/model`;
    const told: unknown = await (await fetch(`${folder}/generation_config.json`)).json();
    assert.deepEqual(told, { ...GREEDY_FILE, num_candidates: 4, rerank: 'mmi' });
    await using loaded = await loadModel(folder, { threads: 1 });
    const [, expected] = await repliesInNode(path, ['hello there']);
    assert.equal(await replyOf(loaded, {}), expected);
    assert.notEqual(await replyOf(loaded, { maxNewTokens: 3 }), expected);
  });

  it('does without a generation_config.json, on servers of single pages too', async (context) => {
    const { files } = await portableFolder(model, 'fp32');
    for (const status of [404, 200]) {
      const server = createServer((request, response) => {
        const file = files.find(({ name }) => request.url === `/${name}`);
        if (file === undefined) {
          response.writeHead(status, { 'content-type': 'text/html' }).end('<p>A page.</p>');
        } else Readable.from(file.content()).pipe(response);
      });
      context.after(() => server.close());
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const address = server.address();
      assert.ok(typeof address === 'object' && address !== null);
      const fetched = await fetchModel(`http://127.0.0.1:${address.port}`);
      assert.equal(fetched.generation, undefined);
    }
  });

  it('is the sum of an adapter and its base', async (context) => {
    const folder = await temporaryFolder(context);
    const options = { rank: 2, alpha: 4, dropout: 0, targetModules: ['c_attn', 'c_proj'] };
    const { config } = checkpoint.parameters;
    const adapter = LoraAdapter.initialize(config, options, model, new Random(1));
    adapter.buffer.forEach((_, index) => {
      adapter.buffer[index] = Math.sin(index) / 4;
    });
    const path = join(folder, 'adapter');
    await saveCheckpoint(path, { ...checkpoint, adapter });
    await using loaded = await loadedAsInBrowser(path, 'fp32');
    const [, expected] = await repliesInNode(path, ['hello there']);
    assert.equal(await replyOf(loaded), expected);
  });

  it('stops, and says what is wrong with files and options', async () => {
    await using loaded = await loadedAsInBrowser(model, 'fp32');
    const controller = new AbortController();
    let pieces = 0;
    for await (const piece of loaded.reply(['hello'], { signal: controller.signal })) {
      pieces += Math.min(1, piece.length);
      controller.abort();
    }
    assert.ok(pieces <= 2);
    await assert.rejects(async () => {
      for await (const piece of loaded.reply(['hello'], { topP: 2 })) assert.fail(piece);
    }, UserError);
    const { files } = await portableFolder(model, 'fp32');
    assert.deepEqual(
      files.map(({ name }) => name),
      ['config.json', 'vocab.json', 'merges.txt', 'model.safetensors'],
    );
    const damaged = { config: {}, vocabulary: {}, merges: '', weights: new Uint8Array(4) };
    await assert.rejects(loadModel(damaged), UserError);
  });
});

describe('the page whose model computes in the browser', { skip: withoutBrowser }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchBrowser(SOFTWARE_WEBGPU);
  });
  after(() => browser.close());

  /** Opens the page and waits for the model; what the page complains of fails the test. */
  async function open(context: TestContext, url: string): Promise<Page> {
    const page = await newPage(browser);
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    context.after(async () => {
      await page.close();
      assert.deepEqual(complaints, []);
    });
    await page.goto(url);
    await page.getByText('Everything is here').waitFor();
    return page;
  }

  /** Says things one after the other; all turns as the page shows them. */
  async function talk(page: Page, said: readonly string[]): Promise<string[]> {
    for (const [index, text] of said.entries()) {
      await page.getByLabel('Message', { exact: true }).fill(text);
      await page.keyboard.press('Enter');
      await page.locator('.message.assistant:not(.pending)').nth(index).waitFor();
      await page.getByRole('button', { name: 'Regenerate' }).waitFor();
    }
    return page.locator('.message .content').allTextContents();
  }

  const SAID = ['hello there', 'how are you doing?', 'I am doing well. And ünïcode?'];

  it('replies as the library does in Node.js, and asks for nothing more once it is loaded', async (context) => {
    const server = await served(context, model);
    const page = await open(context, `${server.url}${PAGE}&device=cpu`);
    const requests: string[] = [];
    page.context().on('request', (request) => requests.push(request.url()));
    await page.context().setOffline(true);
    assert.equal(await page.evaluate('crossOriginIsolated'), true);
    assert.deepEqual(await talk(page, SAID), await repliesInNode(model, SAID));

    const last = await page.locator('.message.assistant .content').last().textContent();
    await page.getByRole('button', { name: 'Regenerate' }).click();
    await page.locator('.message:not(.pending)').nth(5).waitFor();
    assert.equal(await page.locator('.message.assistant .content').last().textContent(), last);
    assert.deepEqual(requests, []);
  });

  it('stops where it is told to', async (context) => {
    const server = await served(context, model);
    const endless = { minNewTokens: 900, maxNewTokens: 900, noRepeatReplyNgramSize: 0 };
    const options = encodeURIComponent(JSON.stringify(endless));
    const page = await open(context, `${server.url}/browser/?device=cpu&options=${options}`);
    // In the page itself, as the reply might be whole before a click from here arrives.
    await page.evaluate(`new MutationObserver((_, observer) => {
      const begun = document.querySelector('.pending .content:not(:has(.dots))');
      const buttons = [...document.querySelectorAll('button')];
      const stop = buttons.find((button) => button.textContent === 'Stop');
      if (begun === null || stop === undefined) return;
      observer.disconnect();
      stop.click();
    }).observe(document.body, { childList: true, subtree: true, characterData: true })`);
    await page.getByLabel('Message', { exact: true }).fill('hello');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Regenerate' }).waitFor();
    const said = await page.locator('.message.assistant .content').textContent();
    assert.ok(said !== null && said.length > 0 && said.length < 800, said ?? 'nothing');
  });

  it('loads 8-bit weights', async (context) => {
    const int8 = await served(context, model, 'int8');
    const page = await open(context, `${int8.url}${PAGE}`);
    // Bytes round: where two tokens are as likely to a thousandth, one processor takes the other.
    const expected = await repliesInNode(model, SAID.slice(0, 1), { dtype: 'int8', exact: false });
    assert.deepEqual(await talk(page, SAID.slice(0, 1)), expected);
  });

  it('computes on WebGPU too', async (context) => {
    const server = await served(context, model);
    const page = await open(context, `${server.url}${PAGE}&device=webgpu`);
    await page.getByText('WebGPU').waitFor();
    assert.deepEqual(
      await talk(page, SAID.slice(0, 1)),
      await repliesInNode(model, SAID.slice(0, 1)),
    );
  });

  it('asks for the key where the server wants one, and says what is wrong', async (context) => {
    const server = await served(context, model, 'fp32', { apiKeys: ['secret'] });
    const page = await newPage(browser);
    context.after(() => page.close());
    await page.goto(`${server.url}/browser/`);
    await page.getByLabel('This server asks for its API key').fill('wrong');
    await page.getByRole('button', { name: 'Enter' }).click();
    await page.getByLabel('This server asks for its API key').fill('secret');
    await page.getByRole('button', { name: 'Enter' }).click();
    await page.getByText('Everything is here').waitFor();

    const broken = await newPage(browser);
    context.after(() => broken.close());
    await broken.addInitScript("localStorage['dialogpt.key'] = 'secret'");
    await broken.route('**/model.safetensors', (route) => route.fulfill({ body: 'no weights' }));
    await broken.goto(`${server.url}/browser/`);
    await broken.getByText('model.safetensors:').waitFor();
    await broken.unroute('**/model.safetensors');
    await broken.getByRole('button', { name: 'Try again' }).click();
    await broken.getByText('Everything is here').waitFor();
  });
});
