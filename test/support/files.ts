import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';

/** The root of the repository, seen from the compiled tests in `dist/test/…`. */
export const repository = resolve(import.meta.dirname, '../../..');

/** The path of a committed reference file under `test/golden/`. */
export function golden(...parts: string[]): string {
  return join(repository, 'test', 'golden', ...parts);
}

/** The path of a file under the optional `../shared/data`, which only some machines have. */
export function sharedData(...parts: string[]): string {
  return join(repository, '..', 'shared', 'data', ...parts);
}

/** A new empty folder that goes when the test ends. */
export async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
