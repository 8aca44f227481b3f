import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { startCommand, type Running } from '../support/command.js';
import { succeed, TINY, writeSmallCorpus } from '../support/tiny.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  await writeSmallCorpus(folder);
  await succeed(folder, [
    'data',
    'build',
    '--corpus',
    'small.tsv',
    '--out',
    'data',
    '--vocab-size',
    '300',
  ]);
});
after(() => rm(folder, { recursive: true, force: true }));

function train(out: string): Running {
  const words = ['train', '--data', 'data', '--out', out, ...TINY, '--valid-step', '3'];
  words.push('--num-optim-steps', '100000', '--early-stopping-patience', '0');
  return startCommand(words, { cwd: folder });
}

/** Waits until `holds`, however slow the machine is. */
async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await setTimeout(20);
}

/** Waits for a checkpoint and some steps more. */
async function untilSaved(out: string): Promise<void> {
  const log = join(folder, out, 'train_log.txt');
  await until(() => existsSync(join(folder, out, 'model.safetensors')));
  const lines = async () => (await readFile(log, 'utf8')).split('\n').length;
  const before = await lines();
  await until(async () => (await lines()) > before + 1);
}

async function assertTalks(model: string): Promise<void> {
  const words = ['chat', '--model', model, '--once', '--max-new-tokens', '3'];
  assert.match(await succeed(folder, words, 'Hello!\n'), /\n$/);
}

describe('Ctrl-C', { skip: process.platform === 'win32' && 'needs POSIX signals' }, () => {
  it('in training saves the model and says where', async () => {
    const { process: child, ended } = train('stopped');
    await untilSaved('stopped');
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    assert.equal(code, 130, stderr);
    assert.match(
      stderr,
      /\ndialogpt: Interrupted after step \d+; the model so far is in stopped, and --continue-from stopped goes on\.\n$/,
    );
    assert.doesNotMatch(stderr, /\n {4}at /);
    assert.ok(!(await readdir(join(folder, 'stopped'))).some((name) => name.endsWith('.partial')));
    await assertTalks('stopped');
  });

  it('a second time ends training at once', async () => {
    const { process: child, ended } = train('twice');
    await untilSaved('twice');
    child.kill('SIGINT');
    child.kill('SIGTERM');
    const { code } = await ended;
    assert.equal(code, 130);
    await assertTalks('twice');
  });

  it('a kill in training leaves the last model', async () => {
    const { process: child, ended } = train('killed');
    await untilSaved('killed');
    child.kill('SIGKILL');
    assert.equal((await ended).signal, 'SIGKILL');
    await assertTalks('killed');
  });

  it('while a dataset is built leaves what is done, and the same command goes on', async () => {
    const text = await readFile(join(folder, 'small.tsv'), 'utf8');
    await writeFile(join(folder, 'large.tsv'), text.repeat(400));
    const words = ['data', 'build', '--corpus', 'large.tsv', '--out', 'large'];
    const flags = ['--shard-size', '1000', '--threads', '1'];
    const { process: child, ended } = startCommand([...words, ...flags], { cwd: folder });
    const isLarge = (name: string) => name.includes('large') && name !== 'large.tsv';
    await until(() => existsSync(join(folder, '.large.building', 'blocks', '0.json')));
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    assert.equal(code, 130, stderr);
    assert.match(
      stderr,
      /(?:^|\n)dialogpt: Interrupted; run the same command again, and it goes on\.\n$/,
    );
    assert.deepEqual((await readdir(folder)).filter(isLarge), ['.large.building']);
    await succeed(folder, [...words, ...flags]);
    assert.deepEqual((await readdir(folder)).filter(isLarge), ['large']);
  });
});
