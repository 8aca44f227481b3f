import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { range } from '../../src/base/arrays.js';
import { loadValueHead } from '../../src/checkpoint/index.js';
import { runCommand } from '../support/command.js';
import { temporaryFolder } from '../support/files.js';
import { makeTinyModel, succeed } from '../support/tiny.js';

describe('dialogpt train-value-head', () => {
  it('teaches a model to choose, which then does so with --rerank value', async (context) => {
    const cwd = await temporaryFolder(context);
    await makeTinyModel(cwd);
    const lines = range(0, 40).flatMap((index) => [
      `what about ${index}\tyes\t1`,
      `what about ${index}\tand then we went on to the end of it\t0`,
    ]);
    await writeFile(join(cwd, 'judged.tsv'), lines.join('\n'));
    const chat = [
      'chat',
      '--model',
      'model',
      '--once',
      '--num-candidates',
      '3',
      '--rerank',
      'value',
    ];
    const refused = await runCommand(chat, { cwd, input: 'Hello!\n' });
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /--rerank value needs a model with a value head, and .*model has none/,
    );
    const words = ['train-value-head', '--model', 'model', '--data', 'judged.tsv'];
    const printed = await succeed(cwd, [...words, '--validation', '0.3', '--json']);
    const schema = z.object({
      responses: z.literal(80),
      heldOut: z.object({ chosen: z.number() }),
    });
    assert.equal(schema.parse(JSON.parse(printed)).heldOut.chosen, 1);
    assert.equal((await loadValueHead(join(cwd, 'model'), 32)).state.length, 32);
    assert.match(
      await succeed(cwd, words),
      /The value head is in .*model\. Of \d+ held-out contexts/,
    );
    assert.match(
      await succeed(cwd, [...chat, '--seed', '1', '--max-new-tokens', '5'], 'Hello!\n'),
      /\S/,
    );
  });

  it('names what is wrong with the data', async (context) => {
    const cwd = await temporaryFolder(context);
    await makeTinyModel(cwd);
    await writeFile(join(cwd, 'judged.tsv'), 'Hi\tHo\tgood\n');
    const words = ['train-value-head', '--model', 'model', '--data', 'judged.tsv'];
    const { code, stderr } = await runCommand(words, { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /judged\.tsv, line 1: expected a context, a response and 0 or 1/);
  });
});
