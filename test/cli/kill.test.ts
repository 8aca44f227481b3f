import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Random } from '../../src/base/random.js';
import { loadCheckpoint } from '../../src/checkpoint/index.js';
import { startCommand } from '../support/command.js';
import { succeed, TINY, writeSmallCorpus } from '../support/tiny.js';
import { timelessLogs } from '../support/training.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  await writeSmallCorpus(folder);
  const build = ['data', 'build', '--corpus', 'small.tsv', '--out', 'data', '--vocab-size', '300'];
  await succeed(folder, [...build, '--validation', '0.1']);
});
after(() => rm(folder, { recursive: true, force: true }));

const STEPS = 40;
const flags = (out: string) => [
  ...['train', '--data', 'data', '--out', out, ...TINY, '--dropout', '0.2', '--threads', '1'],
  ...['--num-optim-steps', String(STEPS), '--gradient-accumulation-steps', '2'],
  ...['--train-batch-size', '4', '--learning-rate', '1e-3', '--valid-step', '7'],
  ...['--save-steps', '2', '--early-stopping-patience', '0', '--continue-from', out],
];

/** The steps that the log of the run speaks of. */
async function stepsLogged(): Promise<number> {
  const log = join(folder, 'killed', 'train_log.txt');
  return existsSync(log) ? (await readFile(log, 'utf8')).split('\n').length - 2 : 0;
}

describe('SIGKILL', { skip: process.platform === 'win32' && 'needs POSIX signals' }, () => {
  it('at any moments leaves a run that goes on bit for bit', async (context) => {
    await succeed(folder, flags('whole'));
    const random = new Random(Date.now());
    let kills = 0;
    for (let step = 0; ;) {
      const { process: child, ended } = startCommand(flags('killed'), { cwd: folder });
      // Some steps further than before, and then anywhere within a step or a checkpoint.
      step += 4 + random.below(9);
      while (child.exitCode === null && (await stepsLogged()) < step) await setTimeout(2);
      await setTimeout(random.below(30));
      child.kill('SIGKILL');
      const { code, signal, stderr } = await ended;
      kills += Number(signal === 'SIGKILL');
      assert.ok(code === 0 || signal === 'SIGKILL', stderr);
      if (code === 0) break;
    }
    context.diagnostic(`${kills} kills`);
    assert.ok(kills >= 1, `${kills} kills`);
    const [whole, again] = [join(folder, 'whole'), join(folder, 'killed')];
    assert.deepEqual(await timelessLogs(again), await timelessLogs(whole));
    for (const path of ['.', `checkpoint-${STEPS}`]) {
      const one = await loadCheckpoint(join(whole, path));
      const other = await loadCheckpoint(join(again, path));
      assert.deepEqual(other.parameters.buffer, one.parameters.buffer);
    }
    assert.ok(!(await readdir(again)).some((name) => name.endsWith('.partial')));
  });
});
