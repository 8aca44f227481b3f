import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { range } from '../../src/base/arrays.js';
import { runCommand } from '../support/command.js';
import { temporaryFolder } from '../support/files.js';
import { makeTinyModel, succeed } from '../support/tiny.js';

const words = ['train-preferences', '--model', 'model', '--steps', '12', '--batch', '8'];
const flags = ['--lr', '0.01', '--valid-step', '6', '--validation', '0.25', '--threads', '1'];

describe('dialogpt train-preferences', () => {
  it('makes a model that says what is preferred, of pairs and of judged responses', async (context) => {
    const cwd = await temporaryFolder(context);
    await makeTinyModel(cwd);
    const contexts = range(0, 20).map((index) => `what about ${index}`);
    const pairs = contexts.map((said) => `${said}\tyes\tno`);
    await writeFile(join(cwd, 'pairs.tsv'), `# preferred first\n${pairs.join('\n')}\n`);
    const judged = contexts.map((said) => `${said}\tyes\t1\n${said}\tno\t0\n`);
    await writeFile(join(cwd, 'judged.tsv'), judged.join(''));
    const schema = z.object({
      steps: z.literal(12),
      best: z.object({ loss: z.number(), accuracy: z.number() }),
    });
    const reports: string[] = [];
    for (const data of ['pairs', 'judged']) {
      const command = [...words, ...flags, '--data', `${data}.tsv`, '--out', data, '--json'];
      const printed = await succeed(cwd, command);
      const { best } = schema.parse(JSON.parse(printed));
      assert.equal(best.accuracy, 1);
      assert.ok(best.loss < 0.5);
      reports.push(JSON.stringify(best));
    }
    assert.equal(reports[0], reports[1], 'the same pairs either way');
    const chat = ['chat', '--model', 'judged', '--once', '--greedy', '--max-new-tokens', '5'];
    assert.match(await succeed(cwd, chat, 'what about 3\n'), /yes/);
  });

  it('goes on with --resume, and says what is wrong', async (context) => {
    const cwd = await temporaryFolder(context);
    await makeTinyModel(cwd);
    await writeFile(join(cwd, 'pairs.tsv'), 'a\tyes\tno\nb\tyes\tno\n');
    const command = [...words, ...flags, '--data', 'pairs.tsv', '--out', 'out'];
    await succeed(cwd, command);
    const again = await runCommand(command, { cwd });
    assert.equal(again.code, 1);
    assert.match(again.stderr, /out: it holds a run already; go on with --resume/);
    const other = await runCommand([...command, '--resume', '--beta', '0.5'], { cwd });
    assert.equal(other.code, 1);
    assert.match(other.stderr, /--beta cannot change within a run/);
    assert.match(await succeed(cwd, [...command, '--resume']), /The model is in out\./);
    await writeFile(join(cwd, 'bad.tsv'), 'a\tyes\t1\na\tno\tperhaps\n');
    const bad = await runCommand([...words, '--data', 'bad.tsv', '--out', 'other'], { cwd });
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /bad\.tsv, line 2: expected a context, a response and 0 or 1/);
    assert.doesNotMatch(bad.stderr, /\n\s+at /);
  });
});
