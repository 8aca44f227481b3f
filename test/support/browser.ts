import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

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

/** Starts Chromium. */
export async function launchBrowser(flags: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    ...(executable === undefined ? {} : { executablePath: executable }),
    // Root, as in containers, has no sandbox.
    args: ['--no-sandbox', ...flags],
  });
}
