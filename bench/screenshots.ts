/** Makes the pictures of the pages in docs/images: `npm run screenshots`. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import {
  browserModel,
  conversations,
  ConversationStore,
  pages,
  startServer,
} from '../src/serving/index.js';

const [model = 'runs/demo', executablePath = '/usr/bin/chromium'] = process.argv.slice(2);
const out = join(import.meta.dirname, '../../docs/images');
const folder = await mkdtemp(join(tmpdir(), 'dialogpt-screenshots-'));
const store = await ConversationStore.open(join(folder, 'c.sqlite'));
const extensions = [await pages(), conversations(store), browserModel(model, 'fp32')];
const server = await startServer({
  model,
  port: 0,
  logLevel: 'silent',
  extensions,
  defaults: { seed: 7 },
});
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

async function open(path: string, width: number, height: number, dark = false): Promise<Page> {
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    // Nothing moves while a picture is taken.
    reducedMotion: 'reduce',
  });
  await page.goto(server.url + path);
  return page;
}

/** Says things and waits for each reply. */
async function talk(page: Page, said: readonly string[]): Promise<void> {
  for (const [index, text] of said.entries()) {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.keyboard.press('Enter');
    await page.locator('.message.assistant:not(.pending)').nth(index).waitFor();
    await page.getByRole('button', { name: 'Regenerate' }).last().waitFor();
  }
}

async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(out, `${name}.png`) });
}

const SAID = ['Hello! How are you?', 'What do you do for fun?', 'Do you like music?'];

try {
  await mkdir(out, { recursive: true });
  const page = await open('/', 1280, 760);
  await talk(page, SAID);
  await picture(page, 'chat-light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture(page, 'chat-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.getByRole('button', { name: 'New conversation' }).click();
  await page.getByRole('button', { name: 'Pick of 8' }).click();
  await talk(page, ['What is your favourite food?']);
  await page.getByText('8 candidates').click();
  await picture(page, 'candidates');
  const phone = await open('/', 390, 780);
  await talk(phone, SAID.slice(0, 2));
  await picture(phone, 'phone');
  const local = await open('/browser/', 900, 600);
  await local.getByText('Everything is here').waitFor({ timeout: 120_000 });
  await talk(local, SAID.slice(0, 2));
  await picture(local, 'browser');
} finally {
  await browser.close();
  await server.close();
  store.close();
  await rm(folder, { recursive: true, force: true });
}
