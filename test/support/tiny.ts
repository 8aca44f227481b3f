import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './command.js';
import { repository } from './files.js';

/** Flags of a model that trains in a second. */
export const TINY = ['--n-layer', '1', '--n-embd', '32', '--n-head', '2', '--n-positions', '128'];

/** Writes the first conversations of the starter corpus as `small.tsv` into `folder`. */
export async function writeSmallCorpus(folder: string, lines = 60): Promise<void> {
  const starter = await readFile(join(repository, 'corpus', 'starter.tsv'), 'utf8');
  const text = starter.split('\n').slice(0, lines).join('\n');
  await writeFile(join(folder, 'small.tsv'), `${text}\n`);
}

/** Runs `dialogpt` in `cwd`, asserts that it succeeds, and returns what it printed. */
export async function succeed(
  cwd: string,
  words: readonly string[],
  input?: string,
): Promise<string> {
  const { code, stdout, stderr } = await runCommand(words, {
    cwd,
    ...(input === undefined ? {} : { input }),
  });
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Makes `small.tsv`, the dataset `data` and the model `model` in `folder`. */
export async function makeTinyModel(folder: string): Promise<void> {
  await writeSmallCorpus(folder);
  const build = ['data', 'build', '--corpus', 'small.tsv', '--out', 'data'];
  await succeed(folder, [...build, '--vocab-size', '300', '--validation', '0.1']);
  const train = ['train', '--data', 'data', '--out', 'model', ...TINY];
  await succeed(folder, [...train, '--num-optim-steps', '3', '--learning-rate', '1e-3']);
}
