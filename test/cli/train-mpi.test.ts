import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it, after } from 'node:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { at } from '../../src/base/arrays.js';
import { checkpointSteps } from '../../src/training/index.js';
import { mainFile, type RunResult } from '../support/command.js';
import { launchers, startRanks, withoutMpi } from '../support/mpi.js';
import { succeed, TINY, writeSmallCorpus } from '../support/tiny.js';
import { readLog } from '../support/training.js';

let folder = '';
const common = [
  ...['train', '--data', 'small.tsv', ...TINY, '--vocab-size', '300', '--dropout', '0.1'],
  ...['--num-optim-steps', '6', '--valid-step', '3', '--learning-rate', '1e-3', '--validation'],
  ...['0.2', '--train-batch-size', '4', '--threads', '1', '--sample-replies', '0'],
];

async function trainOn(
  launcher: string,
  ranks: number,
  words: readonly string[],
): Promise<RunResult> {
  const program = [mainFile, ...words];
  return startRanks(launcher, ranks, program, { cwd: folder, timeout: 120 }).ended;
}

/** The columns of a log that tell of losses; the last two of `train_log.txt` tell of time. */
async function losses(run: string, log: string): Promise<number[][]> {
  const rows = await readLog(join(folder, run), log);
  return rows.slice(1).map((row) => row.slice(0, 7).map(Number));
}

function assertClose(actual: readonly number[][], expected: readonly number[][]): void {
  assert.equal(actual.length, expected.length);
  for (const [line, row] of expected.entries()) {
    for (const [column, value] of row.entries()) {
      const given = at(at(actual, line), column);
      assert.ok(Math.abs(given - value) <= 1e-5 * Math.abs(value), `${given} is not ${value}`);
    }
  }
}

/** The process of a rank that runs this command, found by its environment. */
async function processOf(rank: number, out: string): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [environment, command] = await Promise.all([
        readFile(join('/proc', name, 'environ'), 'utf8'),
        readFile(join('/proc', name, 'cmdline'), 'utf8'),
      ]);
      const words = environment.split('\0');
      const isRank =
        words.includes(`OMPI_COMM_WORLD_RANK=${rank}`) || words.includes(`PMI_RANK=${rank}`);
      if (isRank && command.split('\0').includes(out)) return Number(name);
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined;
}

describe('training on several processes', { skip: withoutMpi }, () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
    await writeSmallCorpus(folder);
    await succeed(folder, [...common, '--out', 'alone', '--gradient-accumulation-steps', '4']);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const launcher of launchers) {
    for (const ranks of [2, 4]) {
      it(`gives the losses of one process with the same batches (${launcher}, ${ranks})`, async () => {
        const out = `${launcher}-${ranks}`;
        const accumulation = ['--gradient-accumulation-steps', String(4 / ranks)];
        const { code, stderr } = await trainOn(launcher, ranks, [
          ...[...common, '--out', out, ...accumulation],
        ]);
        assert.equal(code, 0, stderr);
        assertClose(await losses(out, 'train_log.txt'), await losses('alone', 'train_log.txt'));
        assertClose(await losses(out, 'eval_log.txt'), await losses('alone', 'eval_log.txt'));
      });
    }

    it(`gives them with gradients summed layer by layer, on the way back (${launcher})`, async () => {
      for (const ranks of [2, 4]) {
        const out = `${launcher}-${ranks}-recomputed`;
        const accumulation = ['--gradient-accumulation-steps', String(4 / ranks)];
        const words = [...common, '--recompute', '--out', out, ...accumulation];
        const { code, stderr } = await trainOn(launcher, ranks, words);
        assert.equal(code, 0, stderr);
        assertClose(await losses(out, 'train_log.txt'), await losses('alone', 'train_log.txt'));
      }
    });
  }

  it('ends as a whole when a process dies, and goes on from the last checkpoint', async () => {
    const [launcher = ''] = launchers;
    const words = [...common, '--out', 'killed', '--save-steps', '1', '--num-optim-steps', '2000'];
    const running = startRanks(launcher, 2, [mainFile, ...words], { cwd: folder, timeout: 120 });
    const out = join(folder, 'killed');
    while ((await checkpointSteps(out).catch(() => [])).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const second = await processOf(1, 'killed');
    assert.ok(second !== undefined);
    process.kill(second, 'SIGKILL');
    const { code, stderr: told } = await running.ended;
    assert.notEqual(code, 0);
    assert.match(told, new RegExp(`^2 processes, .* \\d+, ${second}\\.$`, 'm'));
    const saved = Math.max(...(await checkpointSteps(out)));
    const further = String(saved + 2);
    const { code: again, stderr } = await trainOn(launcher, 2, [
      ...['train', '--continue-from', 'killed', '--num-optim-steps', further],
    ]);
    assert.equal(again, 0, stderr);
    assert.equal(stderr.match(/^Going on from /gm)?.length, 1);
    const rows = await losses('killed', 'train_log.txt');
    assert.deepEqual(
      rows.map((row) => row[1]),
      Array.from({ length: saved + 2 }, (_, i) => i + 1),
    );
  });

  it('says which process failed, and why', async () => {
    const [launcher = ''] = launchers;
    const words = ['train', '--data', 'none.tsv', '--out', 'failed', ...TINY];
    const { code, stderr } = await trainOn(launcher, 2, words);
    assert.notEqual(code, 0);
    assert.match(stderr, /dialogpt: process 0 of 2 failed: none\.tsv: /);
  });
});
