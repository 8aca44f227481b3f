import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { writeRedditDumps } from '../../bench/reddit-dumps.js';
import { extractMonths } from '../../src/corpus/extract.js';
import { defaultRules } from '../../src/corpus/extract-options.js';
import { mainFile } from '../support/command.js';
import { temporaryFolder } from '../support/files.js';

const month = '2018-05';

/** Prints the most memory that the process ever had as it ends. */
const WATCH = `data:text/javascript,
import { readFileSync } from 'node:fs';
process.on('exit', () => {
  process.stderr.write(readFileSync('/proc/self/status', 'utf8'));
});`;

/** Runs `data extract` and returns the most that it had resident, in bytes. */
async function peakOf(flags: readonly string[]): Promise<number> {
  const program = ['--import', WATCH, mainFile, 'data', 'extract', ...flags];
  const child = spawn(process.execPath, program, { stdio: ['ignore', 'ignore', 'pipe'] });
  const [written] = await Promise.all([
    text(child.stderr),
    new Promise((resolve) => child.on('close', resolve)),
  ]);
  assert.equal(child.exitCode, 0, written);
  return Number(/VmHWM:\s+(\d+) kB/.exec(written)?.[1]) * 1024;
}

describe('data extract --memory', () => {
  const skip = !existsSync('/proc/self/status') && 'needs /proc';

  it('keeps what is held beyond the program at rest under the limit', { skip }, async (context) => {
    const input = await temporaryFolder(context);
    await writeRedditDumps(input, { month, commentBytes: 60e6, seed: 3 });
    const atRest = await peakOf(['--help']);
    const [small, large] = [await temporaryFolder(context), await temporaryFolder(context)];
    const flags = [month, '--reddit-input', input, '--reddit-output', small, '--memory', '64MB'];
    const peak = await peakOf(flags);
    assert.ok(peak < atRest + 64e6, `${peak} resident, ${atRest} at rest`);
    await extractMonths([month], { input, output: large, rules: defaultRules });
    const [expected, found] = [large, small].map((output) => join(output, 'conv', `${month}.tsv`));
    assert.ok((await readFile(expected ?? '')).equals(await readFile(found ?? '')));
  });
});
