import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { writeRedditDumps } from '../../bench/reddit-dumps.js';
import { exists } from '../../src/base/files.js';
import { downloadMonth, parseChecksums } from '../../src/corpus/download.js';
import { LEAST_MEMORY, planMemory } from '../../src/corpus/memory.js';
import { parseMonths } from '../../src/corpus/months.js';
import { joinMonths, prepareDummy, presets } from '../../src/corpus/presets.js';
import { readRank, shareOf } from '../../src/base/rank.js';
import { countCorpus } from '../../src/corpus/statistics.js';
import { readStatus, remainingSeconds } from '../../src/corpus/status.js';
import { writeFileWhole } from '../../src/base/files.js';
import { mainFile, runCommand } from '../support/command.js';
import { launchers, startRanks } from '../support/mpi.js';
import { temporaryFolder } from '../support/files.js';

describe('months', () => {
  it('are single or from one to another', () => {
    assert.deepEqual(parseMonths(['2018-03', '2017-12..2018-01', '2018-03']), [
      '2017-12',
      '2018-01',
      '2018-03',
    ]);
    // The original's lists: 144 training months, 11 of the test set.
    assert.equal(parseMonths([presets.full.months]).length, 144);
    assert.equal(parseMonths([presets.small.months]).length, 49);
    assert.equal(parseMonths([presets.test.months]).length, 11);
    for (const text of ['2018-13', '2018', '2018-03..2018-01', '']) {
      assert.throws(() => parseMonths([text]), /is no month/);
    }
  });

  it('are shared out among ranks, each to one', () => {
    assert.deepEqual(readRank({ OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '3' }), {
      rank: 1,
      size: 3,
    });
    assert.deepEqual(readRank({ PMI_RANK: '0', PMI_SIZE: '2' }), { rank: 0, size: 2 });
    const step = { SLURM_PROCID: '4', SLURM_STEP_NUM_TASKS: '5', SLURM_NTASKS: '8' };
    assert.deepEqual(readRank(step), { rank: 4, size: 5 });
    assert.deepEqual(readRank({ SLURM_PROCID: '0', SLURM_NTASKS: '8' }), { rank: 0, size: 1 });
    assert.deepEqual(readRank({}), { rank: 0, size: 1 });
    assert.throws(() => readRank({ PMI_RANK: '2', PMI_SIZE: '2' }), /no rank and size/);
    const items = ['a', 'b', 'c', 'd', 'e'];
    const shares = [0, 1, 2].map((rank) => shareOf(items, { rank, size: 3 }));
    assert.deepEqual(shares, [['a', 'd'], ['b', 'e'], ['c']]);
  });

  it('share the memory, with as many threads as fit', () => {
    assert.deepEqual(planMemory(4e9, 2, 4), { jobs: 2, threads: 4, data: 3.785e9 });
    assert.deepEqual(planMemory(1e8, 2, 4), { jobs: 1, threads: 1, data: 2e7 });
    assert.deepEqual(planMemory(64e6, 2, 4), { jobs: 1, threads: 0, data: 14e6 });
    assert.deepEqual(planMemory(LEAST_MEMORY, 2, 4), { jobs: 1, threads: 0, data: 8e6 });
    assert.throws(() => planMemory(5e7, 1, 2), /--memory 50MB is too little: .* takes 58MB/);
  });

  it('are shared out among processes that a launcher numbers', async (context) => {
    const [input, output] = [await temporaryFolder(context), await temporaryFolder(context)];
    for (const month of ['2018-01', '2018-02', '2018-03']) {
      await writeRedditDumps(input, { month, commentBytes: 5e4, seed: 1 });
    }
    const flags = ['2018-01..2018-03', '--reddit-input', input, '--reddit-output', output];
    const run = async (env: Record<string, string>): Promise<string[]> => {
      const result = await runCommand(['data', 'extract', ...flags, '--json'], { env });
      assert.equal(result.code, 0, result.stderr);
      const lines = result.stdout.trim().split('\n');
      return lines.map((line) => z.object({ month: z.string() }).parse(JSON.parse(line)).month);
    };
    const open = (rank: number) => ({
      OMPI_COMM_WORLD_RANK: String(rank),
      OMPI_COMM_WORLD_SIZE: '2',
    });
    assert.deepEqual(await run(open(0)), ['2018-01', '2018-03']);
    assert.equal(await exists(join(output, 'conv', '2018-02.tsv')), false);
    assert.deepEqual(await run(open(1)), ['2018-02']);
    // What one rank has done, another launch finds done.
    assert.equal((await run({ SLURM_PROCID: '0', SLURM_NTASKS: '1' })).length, 3);
  });

  for (const launcher of launchers) {
    it(`are shared out by ${launcher}`, async (context) => {
      const [input, output] = [await temporaryFolder(context), await temporaryFolder(context)];
      for (const month of ['2018-01', '2018-02']) {
        await writeRedditDumps(input, { month, commentBytes: 5e4, seed: 1 });
      }
      const flags = ['2018-01..2018-02', '--reddit-input', input, '--reddit-output', output];
      const program = [mainFile, 'data', 'extract', ...flags];
      const { code, stderr } = await startRanks(launcher, 2, program).ended;
      assert.equal(code, 0, stderr);
      for (const month of ['2018-01', '2018-02']) {
        assert.ok(await exists(join(output, 'conv', `${month}.stat.json`)), month);
      }
    });
  }

  it('are joined without their keys, once all are there', async (context) => {
    const folder = await temporaryFolder(context);
    const out = join(folder, 'train.tsv');
    await writeFileWhole(join(folder, 'conv', '2018-01.tsv'), 'k\ta\tb\n');
    await assert.rejects(joinMonths(folder, ['2018-01', '2018-02'], out), /extract 2018-02 first/);
    assert.equal(await exists(out), false);
    await writeFileWhole(join(folder, 'conv', '2018-02.tsv'), 'k\tc EOS d\te\n');
    await joinMonths(folder, ['2018-01', '2018-02'], out);
    assert.equal(await readFile(out, 'utf8'), 'a\tb\nc EOS d\te\n');
    const counts = await countCorpus([out]);
    assert.deepEqual([counts.lines, counts.sourceTokens, counts.targetTokens], [2, 4, 2]);
    await writeFile(out, 'no tab\n');
    await assert.rejects(countCorpus([out]), /train\.tsv:1: /);
  });

  it('dummy data get weights as prepare4db.sh gives them', async (context) => {
    const folder = await temporaryFolder(context);
    await writeFile(join(folder, 'train_raw.tsv'), 'hi ?\tho .\n');
    const out = join(folder, 'train.tsv');
    assert.equal(await prepareDummy(join(folder, 'train_raw.tsv'), out), 1);
    assert.equal(await readFile(out, 'utf8'), '0.0 hi ?\t1.0 ho .\n');
  });

  it('have a status', async (context) => {
    const folder = await temporaryFolder(context);
    assert.deepEqual(await readStatus(folder), []);
    const progress = { stage: 'reading', share: 0.25, began: 1000, written: 3000 } as const;
    const path = join(folder, 'extract', '2018-01', 'progress.json');
    await writeFileWhole(path, JSON.stringify(progress));
    assert.deepEqual(await readStatus(folder), [{ month: '2018-01', state: 'started', progress }]);
    assert.equal(remainingSeconds(progress), 6);
  });
});

describe('downloadMonth', () => {
  it('goes on where it stopped, tries the next mirror and checks the sum', async (context) => {
    const folder = await temporaryFolder(context);
    const ranges: string[] = [];
    const server = createServer((request, response) => {
      if (!(request.url ?? '').startsWith('/good/')) {
        response.writeHead(404).end();
        return;
      }
      const content = request.url?.includes('RC_') === true ? 'comments' : 'submissions';
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      ranges.push(`${content} from ${start}`);
      response.writeHead(start > 0 ? 206 : 200).end(content.slice(start));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const host = `http://127.0.0.1:${address.port}`;
    await writeFile(join(folder, 'RC_2018-01.zst.partial'), 'comm');
    await downloadMonth(folder, '2018-01', { mirrors: [`${host}/bad`, `${host}/good/`] });
    assert.equal(await readFile(join(folder, 'RC_2018-01.zst'), 'utf8'), 'comments');
    assert.equal(await readFile(join(folder, 'RS_2018-01.zst'), 'utf8'), 'submissions');
    assert.deepEqual(ranges, ['submissions from 0', 'comments from 4']);
    // What is there is not fetched again.
    await downloadMonth(folder, '2018-01', { mirrors: [] });
    const checksums = parseChecksums(`${'0'.repeat(64)}  submissions/RS_2018-02.zst\n`);
    await assert.rejects(
      downloadMonth(folder, '2018-02', { mirrors: [`${host}/good`], checksums }),
      /No mirror gave RS_2018-02\.zst .*another checksum.*put the file into/,
    );
    assert.equal(await exists(join(folder, 'RS_2018-02.zst')), false);
  });
});
