import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const executable = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => existsSync(path));

/** Why tests in a browser are skipped, if they are. */
export const withoutBrowser =
  executable === undefined && 'needs Chromium (Debian: apt-get install chromium)';

/** Flags with which Chromium has a WebGPU that computes on the processor. */
export const SOFTWARE_WEBGPU = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-webgpu-adapter=swiftshader',
];

/** How long a page may take before a test gives up: machines can be slow (milliseconds). */
const PATIENCE = 120_000;

/** A new page of a browser, which a slow machine has time for. */
export async function newPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(PATIENCE);
  return page;
}

/** Starts Chromium. */
export async function launchBrowser(flags: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    ...(executable === undefined ? {} : { executablePath: executable }),
    // Root, as in containers, has no sandbox.
    args: ['--no-sandbox', ...flags],
  });
}
