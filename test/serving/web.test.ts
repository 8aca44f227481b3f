import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { z } from 'zod';
import {
  conversations,
  ConversationStore,
  pages,
  type RunningServer,
  type ServerOptions,
} from '../../src/serving/index.js';
import { launchBrowser, withoutBrowser, newPage } from '../support/browser.js';
import { temporaryFolder } from '../support/files.js';
import { errorSchema, savedModel, servedModel } from '../support/serving.js';

/** How a model replies whose files do not say. */
const DEFAULTS = {
  temperature: 0.7,
  topK: 40,
  topP: 1,
  repetitionPenalty: 1,
  maxNewTokens: 60,
  numBeams: 1,
  numCandidates: 1,
};

const SHORT_REPLIES = JSON.stringify({
  sampling: { ...DEFAULTS, maxNewTokens: 10 },
  safety: false,
});

let model = '';
let remove: () => Promise<void>;

/** A server with the page; its conversations are in `store`. */
async function served(
  context: TestContext,
  options: Partial<ServerOptions> = {},
): Promise<{ server: RunningServer; store: ConversationStore }> {
  const store = await ConversationStore.open(join(await temporaryFolder(context), 'c.sqlite'));
  const server = await servedModel(context, {
    model,
    extensions: [await pages(), conversations(store)],
    defaults: { seed: 1 },
    ...options,
  });
  return { server, store };
}

const idSchema = z.looseObject({ id: z.string() });
const capabilitiesSchema = z.object({ defaults: z.unknown() });

async function ask(
  server: RunningServer,
  path: string,
  method = 'GET',
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${server.url}/api/${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

before(async () => {
  ({ path: model, remove } = await savedModel());
});
after(() => remove());

describe('the paths of conversations', () => {
  it('keep what is said, with the reply, and give it back', async (context) => {
    const { server, store } = await served(context);
    const created = await ask(server, 'conversations', 'POST', { title: 'One' });
    assert.equal(created.status, 201);
    const { id } = idSchema.parse(JSON.parse(created.text));
    const said = await ask(server, `conversations/${id}/messages`, 'POST', { content: ' hello ' });
    const first = idSchema.parse(JSON.parse(said.text));
    const options = { maxNewTokens: 8, numCandidates: 3 };
    const body = { parent: first.id, candidates: true, options };
    const { status, text } = await ask(server, `conversations/${id}/replies`, 'POST', body);
    assert.equal(status, 200);
    assert.ok(text.endsWith('data: [DONE]\n\n'), text);
    const [kept, reply] = store.messages(id);
    assert.equal(kept?.content, 'hello');
    assert.equal(reply?.parent, first.id);
    assert.equal(reply.candidates.length, 3);
    assert.ok(text.includes(JSON.stringify(reply.content)));
    const exported = await ask(server, `conversations/${id}/export?format=text`);
    assert.equal(exported.text, `One\n\nYou: hello\n\ndialogpt: ${reply.content}\n`);
    assert.equal((await ask(server, `conversations/${id}`, 'DELETE')).status, 204);
    assert.equal((await ask(server, `conversations/${id}`)).status, 404);
  });

  it('keep what there is of a reply whose reader goes away', async (context) => {
    const { server, store } = await served(context);
    const { id } = store.create();
    const first = store.add(id, { parent: null, role: 'user', content: 'hello' });
    const controller = new AbortController();
    const options = { maxNewTokens: 900, minNewTokens: 900, noRepeatReplyNgramSize: 0 };
    const response = await fetch(`${server.url}/api/conversations/${id}/replies`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ parent: first.id, options }),
      signal: controller.signal,
    });
    const reader = response.body?.getReader();
    for (let chunk = 0; chunk < 5; chunk++) await reader?.read();
    controller.abort();
    const end = Date.now() + 5000;
    while (store.messages(id).length < 2 && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const reply = store.messages(id)[1];
    assert.ok(reply !== undefined && reply.content.length > 0);
    assert.ok(reply.content.length < 3000, 'it was stopped');
  });

  it('refuse what cannot be, in the shape of OpenAI', async (context) => {
    const { server, store } = await served(context, { apiKeys: ['secret'] });
    const key = { authorization: 'Bearer secret' };
    const { id } = store.create();
    const first = store.add(id, { parent: null, role: 'user', content: 'hello' });
    const reply = store.add(id, { parent: first.id, role: 'assistant', content: 'hi' });
    const cases: readonly (readonly [number, string, string, unknown])[] = [
      [404, 'conversations/none', 'GET', undefined],
      [405, `conversations/${id}`, 'PUT', {}],
      [400, `conversations/${id}`, 'PATCH', { head: 'none' }],
      [400, `conversations/${id}`, 'PATCH', { color: 'red' }],
      [400, `conversations/${id}/messages`, 'POST', { content: ' ' }],
      [400, `conversations/${id}/messages`, 'POST', { content: 'x', parent: 'none' }],
      [400, `conversations/${id}/replies`, 'POST', { parent: reply.id }],
      [400, `conversations/${id}/replies`, 'POST', { parent: first.id, options: { warmth: 1 } }],
      [400, `conversations/${id}/replies`, 'POST', { parent: first.id, options: { topP: 2 } }],
      [400, `conversations/${id}/export?format=exe`, 'GET', undefined],
    ];
    for (const [status, path, method, body] of cases) {
      const answer = await ask(server, path, method, body, key);
      assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
      errorSchema.parse(JSON.parse(answer.text));
      assert.equal((await ask(server, path, method, body)).status, 401);
    }
    assert.equal((await fetch(`${server.url}/`)).status, 200, 'the page itself asks for the key');
  });
});

describe('the chat page', { skip: withoutBrowser }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchBrowser();
  });
  after(() => browser.close());

  /** Opens the page; what it complains of, or loads from elsewhere, fails the test. */
  async function open(context: TestContext, url: string, width = 1280): Promise<Page> {
    const page = await newPage(browser, { viewport: { width, height: 800 } });
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(url)) complaints.push(`asked for ${request.url()}`);
    });
    context.after(async () => {
      await page.close();
      assert.deepEqual(complaints, []);
    });
    // Short replies, so that the test is quick.
    await page.addInitScript(`localStorage['dialogpt.settings'] ??= '${SHORT_REPLIES}'`);
    await page.goto(url);
    return page;
  }

  async function say(page: Page, text: string): Promise<void> {
    const before = await page.locator('.message.assistant:not(.pending)').count();
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.keyboard.press('Enter');
    await page.locator('.message.assistant:not(.pending)').nth(before).waitFor();
    await page.getByRole('button', { name: 'Send' }).waitFor();
  }

  it('talks, answers anew, edits and branches, and finds all of it again', async (context) => {
    const { server, store } = await served(context);
    const page = await open(context, server.url);
    await page.getByRole('button', { name: 'Hello! How are you?' }).click();
    await page.getByRole('button', { name: 'Regenerate' }).waitFor();
    await say(page, 'and now?');
    await page.getByRole('button', { name: 'Regenerate' }).last().click();
    await page.getByLabel('Branch 2 of 2').waitFor();
    await page.getByRole('button', { name: 'Previous branch' }).click();
    await page.getByLabel('Branch 1 of 2').waitFor();

    await page.getByLabel('Message', { exact: true }).press('ArrowUp');
    await page.getByLabel('Edit what you said').fill('or then?');
    await page.keyboard.press('Enter');
    await page.getByText('or then?').waitFor();
    await page.getByRole('button', { name: 'Send' }).waitFor();
    const [conversation] = store.list();
    assert.ok(conversation !== undefined);
    assert.equal(conversation.title, 'Hello! How are you?');
    const kept = store.messages(conversation.id);
    assert.equal(kept.length, 7);

    const shown = await page.locator('.message .content').allTextContents();
    assert.equal(shown.length, 4);
    await page.reload();
    await page.locator('.message').nth(3).waitFor();
    assert.deepEqual(await page.locator('.message .content').allTextContents(), shown);

    await page.keyboard.press('Control+k');
    await page.keyboard.type('nothing like it');
    await page.getByText('Nothing found.').waitFor();
    await page.getByLabel('Search conversations').fill('then');
    await page.getByRole('button', { name: /^Hello! How are you/ }).waitFor();

    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Chat JSONL' }).click();
    const file = await (await download).path();
    const { messages } = z
      .object({ messages: z.array(z.object({ role: z.string(), content: z.string() })) })
      .parse(JSON.parse(await readFile(file, 'utf8')));
    assert.deepEqual(
      messages.map(({ content }) => content),
      shown,
    );

    page.once('dialog', (dialog) => void dialog.accept());
    const remove = page.getByRole('button', { name: 'Delete "Hello! How are you?"' });
    await remove.click();
    await page.getByRole('heading', { name: 'New conversation' }).waitFor();
    await remove.waitFor({ state: 'detached' });
    assert.deepEqual(store.list(), []);
  });

  it('takes what is said as soon as a reply is there, and after one was deleted', async (context) => {
    const { server, store } = await served(context);
    const page = await open(context, server.url);
    // The list of conversations comes late.
    await page.route('**/api/conversations?*', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      await route.continue();
    });
    const field = page.getByLabel('Message', { exact: true });
    for (const [index, text] of ['hello', 'and now?'].entries()) {
      await field.fill(text);
      await page.keyboard.press('Enter');
      await page.locator('.message.assistant:not(.pending)').nth(index).waitFor();
    }
    const longest = page.getByLabel('Longest reply');
    await longest.fill('200');
    await page.getByRole('button', { name: 'Regenerate' }).last().click();
    // Whoever writes elsewhere while the reply comes goes on there when it has come.
    await longest.fill('150');
    await page.getByRole('button', { name: 'Send' }).waitFor();
    assert.equal(await longest.evaluate('document.activeElement.value'), '150');
    await page.getByRole('button', { name: 'Regenerate' }).last().click();
    page.once('dialog', (dialog) => void dialog.accept());
    await page.getByRole('button', { name: 'Delete "hello"' }).click();
    await page.getByRole('heading', { name: 'New conversation' }).waitFor();
    await say(page, 'once more');
    assert.deepEqual(
      store.list().map(({ title }) => title),
      ['once more'],
    );
  });

  it('stops, and keeps what was said until then', async (context) => {
    const { server, store } = await served(context, {
      defaults: { seed: 1, minNewTokens: 190, maxNewTokens: 200, noRepeatReplyNgramSize: 0 },
    });
    const page = await open(context, server.url);
    await page.getByLabel('Longest reply').fill('200');
    await page.getByLabel('Message', { exact: true }).fill('hello');
    await page.keyboard.press('Enter');
    await page.locator('.pending .content:not(:has(.dots))').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Regenerate' }).waitFor();
    const id = store.list()[0]?.id ?? '';
    const reply = store.messages(id)[1]?.content ?? '';
    assert.ok(reply.length > 0);
    assert.equal(await page.locator('.message.assistant .content').textContent(), reply);
  });

  it('asks for what the model itself says until settings are changed', async (context) => {
    const { server, store } = await served(context);
    const { text } = await ask(server, 'capabilities');
    assert.deepEqual(capabilitiesSchema.parse(JSON.parse(text)).defaults, DEFAULTS);
    const page = await newPage(browser);
    context.after(() => page.close());
    const asked: unknown[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith('/replies')) asked.push(request.postDataJSON());
    });
    await page.goto(server.url);
    const own = page.getByRole('button', { name: 'The model’s own' });
    assert.equal(await own.getAttribute('aria-pressed'), 'true');
    assert.equal(await page.getByLabel('Temperature').inputValue(), '0.7');
    await say(page, 'hello');
    await page.getByLabel('Temperature').fill('0.5');
    assert.equal(await own.getAttribute('aria-pressed'), 'false');
    await say(page, 'and then');
    const [{ id } = { id: '' }] = store.list();
    const [first, , second] = store.messages(id);
    assert.deepEqual(asked, [
      { parent: first?.id, candidates: false, options: { safety: true } },
      { parent: second?.id, candidates: false, options: { temperature: 0.5, safety: true } },
    ]);
  });

  it('shows candidates, takes a persona and remembers its settings', async (context) => {
    const { server, store } = await served(context);
    const page = await open(context, server.url);
    await page.getByRole('button', { name: 'Pick of 8' }).click();
    await page.getByLabel('Persona, a sentence a line').fill('I like tea.\n\n I have two cats. ');
    await page.getByLabel('Message', { exact: true }).focus();
    await say(page, 'hello');
    await page.getByText('8 candidates').click();
    assert.equal(await page.locator('.candidates tbody tr').count(), 8);
    assert.deepEqual(store.list()[0]?.persona, ['I like tea.', 'I have two cats.']);

    await page.getByRole('button', { name: 'Dark' }).click();
    await page.reload();
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
    const preset = page.getByRole('button', { name: 'Pick of 8' });
    assert.equal(await preset.getAttribute('aria-pressed'), 'true');
    // What the page still asks for, it is to get before the server goes.
    await page.getByText('8 candidates').waitFor();
  });

  it('fits a phone and has no faults that axe finds, light or dark', async (context) => {
    const { server } = await served(context);
    const page = await open(context, server.url, 360);
    await say(page, 'hello there, this is a long message without meaning, on a narrow screen');
    const root = 'document.documentElement';
    assert.equal(await page.evaluate(`${root}.scrollWidth - ${root}.clientWidth`), 0);
    const axe = await readFile(
      createRequire(import.meta.url).resolve('axe-core/axe.min.js'),
      'utf8',
    );
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const panel of ['Conversations', 'Settings']) {
        await page.emulateMedia({ colorScheme });
        await page.getByRole('button', { name: panel }).click();
        await page.evaluate(axe);
        const violations: unknown = await page.evaluate(
          'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]))',
        );
        assert.deepEqual(violations, [], `${panel}, ${colorScheme}`);
        await page.keyboard.press('Escape');
      }
    }
  });

  it('asks for the key where the server wants one', async (context) => {
    const { server } = await served(context, { apiKeys: ['secret'] });
    const page = await newPage(browser);
    context.after(() => page.close());
    await page.goto(server.url);
    await page.getByLabel('This server asks for its API key').fill('secret');
    await page.getByRole('button', { name: 'Enter' }).click();
    await say(page, 'hello');
  });
});
