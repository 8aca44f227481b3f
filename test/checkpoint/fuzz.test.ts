import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { start } from '../support/command.js';
import { repository } from '../support/files.js';

const schema = z.object({ read: z.number(), refused: z.number(), grown: z.number() });

/** Megabytes that JavaScript's objects may take: whoever needs more is ended. */
const HEAP = 40;

/** Megabytes that memory may grow by; a file has some kilobytes. */
const MOST_GROWTH = 60;

async function fuzz(file: string, times: number): Promise<void> {
  const program = join(repository, 'dist', 'test', 'support', 'fuzz-files.js');
  const heap = `--max-old-space-size=${HEAP}`;
  const { code, stdout, stderr } = await start(
    process.execPath,
    [heap, '--max-semi-space-size=4', program, file, String(times)],
    { timeout: 120 },
  ).ended;
  assert.equal(code, 0, stderr);
  const outcome = schema.parse(JSON.parse(stdout));
  // Most damage is found out; damage to the numbers alone cannot be.
  assert.ok(outcome.refused > times / 20 && outcome.read > 0, stdout);
  assert.equal(outcome.refused + outcome.read, times);
  assert.ok(outcome.grown < MOST_GROWTH, stdout);
}

describe('damaged files end in a clean error or a valid model, in little memory', () => {
  it('10,000 safetensors files', () => fuzz('layouts.safetensors', 10_000));

  it('10,000 PyTorch files in the zip format', () => fuzz('fuzz-zip.pt', 10_000));

  it('10,000 PyTorch files in the legacy format', () => fuzz('fuzz-legacy.pt', 10_000));
});
