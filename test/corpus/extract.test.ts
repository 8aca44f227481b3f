import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { writeRedditDumps } from '../../bench/reddit-dumps.js';
import { Random } from '../../src/base/random.js';
import { extractMonths, type ExtractSettings } from '../../src/corpus/extract.js';
import type { MonthStatistics } from '../../src/corpus/extract-month.js';
import {
  defaultRules,
  type ExtractRules,
  readBlockList,
} from '../../src/corpus/extract-options.js';
import { golden, repository, sharedData, temporaryFolder } from '../support/files.js';

const month = '2018-05';

const plainRules: ExtractRules = {
  ...defaultRules,
  clean: true,
  minScore: 1,
  minDepth: 2,
  maxDepth: 5,
  useTitle: false,
  leavesOnly: true,
};
const trainRules: ExtractRules = {
  ...plainRules,
  splitSize: 100,
  blockedWords: ['badword1', 'some thing'],
  blockedSubreddits: ['badsub'],
};
const titleRules: ExtractRules = { ...defaultRules, maxLen: 150, maxLenType: 'c' };

/** Extracts one month and returns its conversations and statistics. */
async function extract(
  context: TestContext,
  settings: Omit<ExtractSettings, 'output'>,
  months = [month],
): Promise<{ text: string; statistics: MonthStatistics }> {
  const output = await temporaryFolder(context);
  const [statistics] = await extractMonths(months, { ...settings, output });
  assert.ok(statistics !== undefined);
  const text = await readFile(join(output, 'conv', `${months.join('')}.tsv`), 'utf8');
  assert.deepEqual((await readdir(output, { recursive: true })).sort(), [
    'conv',
    `conv/${months.join('')}.stat.json`,
    `conv/${months.join('')}.tsv`,
    'extract',
  ]);
  return { text, statistics };
}

describe('extractMonths', () => {
  let input = '';
  before(async () => {
    input = await mkdtemp(join(tmpdir(), 'dialogpt-dumps-'));
    await writeRedditDumps(input, { month, commentBytes: 400_000, seed: 1 });
  });
  after(() => rm(input, { recursive: true, force: true }));

  it('prints what the original printed, in groups of submissions', async (context) => {
    const expected = gunzipSync(await readFile(golden('corpus', 'extract.train.tsv.gz')));
    const { text, statistics } = await extract(context, { input, rules: trainRules });
    assert.equal(text, expected.toString());
    assert.deepEqual(statistics.skips, {
      bad_subreddit: 56,
      low_score: 101,
      min_depth: 195,
      missing: 2,
      repetitions: 1,
      tags: 10,
    });
  });

  it('prints what the original printed with titles and characters', async (context) => {
    const expected = gunzipSync(await readFile(golden('corpus', 'extract.titles.tsv.gz')));
    const { text, statistics } = await extract(context, { input, rules: titleRules });
    assert.equal(text, expected.toString());
    assert.deepEqual(statistics.skips, { exception: 1, low_score: 99, min_depth: 198 });
  });

  it('gives the same whatever the memory, threads and compression', async (context) => {
    const settings = { input, rules: titleRules };
    const { text } = await extract(context, settings);
    for (const threads of [0, 3]) {
      const little = await extract(context, { ...settings, memory: 1e6, threads });
      assert.equal(little.text, text);
    }
    const compressed = await temporaryFolder(context);
    for (const name of [`RS_${month}`, `RC_${month}`]) {
      await writeFile(join(compressed, `${name}.gz`), gzipSync(await readFile(join(input, name))));
    }
    assert.equal((await extract(context, { input: compressed, rules: titleRules })).text, text);
  });

  it('counts broken lines and goes on, whatever they hold', async (context) => {
    const random = new Random(7);
    const damagedInput = await temporaryFolder(context);
    const clean = await extract(context, { input, rules: titleRules });
    let added = 0;
    for (const name of [`RS_${month}`, `RC_${month}`]) {
      const lines = (await readFile(join(input, name), 'latin1')).trimEnd().split('\n');
      // Damaged copies of lines between the lines themselves must change nothing.
      const mixed = lines.flatMap((line) => {
        if (random.uniform() < 0.7) return [line];
        added++;
        return [line.slice(0, random.below(line.length - 1)) + '\u00ff\u0000"', line];
      });
      mixed.push('null', '[]', '5', '{"id":5}', '{"body":"a b","link_id":7}', '{');
      added += 6;
      await writeFile(join(damagedInput, name), mixed.join('\r\n'), 'latin1');
    }
    const { text, statistics } = await extract(context, { input: damagedInput, rules: titleRules });
    assert.equal(text, clean.text);
    assert.equal(statistics.submissionLines.broken + statistics.commentLines.broken, added);
  });

  it('survives any mutation of a dump', async (context) => {
    const random = new Random(11);
    const folder = await temporaryFolder(context);
    for (let round = 0; round < 4; round++) {
      for (const name of [`RS_${month}`, `RC_${month}`]) {
        const bytes = await readFile(join(input, name));
        for (let flip = 0; flip < 2000; flip++) {
          bytes[random.below(bytes.length)] = random.below(256);
        }
        await writeFile(join(folder, name), bytes);
      }
      const { statistics } = await extract(context, { input: folder, rules: titleRules });
      assert.ok(statistics.commentLines.broken > 0 && statistics.commentLines.kept > 0);
    }
  });

  it('says which file to put where, and where a dump is cut off', async (context) => {
    const output = await temporaryFolder(context);
    await assert.rejects(
      extractMonths(['2018-06'], { input, output, rules: titleRules }),
      /RS_2018-06\.zst is missing .* put the submissions of 2018-06 there/,
    );
    const cut = await temporaryFolder(context);
    await writeFile(join(cut, `RS_${month}`), await readFile(join(input, `RS_${month}`)));
    const compressed = gzipSync(await readFile(join(input, `RC_${month}`)));
    await writeFile(join(cut, `RC_${month}.gz`), compressed.subarray(0, 9000));
    await assert.rejects(
      extractMonths([month], { input: cut, output, rules: titleRules }),
      /RC_2018-05\.gz: the file is cut off: its data goes on after its last byte, 9000/,
    );
    assert.deepEqual(await readdir(join(output, 'conv')).catch(() => []), []);
  });

  it('leaves a month that is done as it is, and makes it anew for other rules', async (context) => {
    const output = await temporaryFolder(context);
    const stages: string[] = [];
    const run = async (rules: ExtractRules): Promise<string[]> => {
      stages.length = 0;
      await extractMonths([month], {
        input,
        output,
        rules,
        onProgress: ({ stage }) => stages.push(stage),
      });
      return [...new Set(stages)];
    };
    assert.deepEqual(await run(titleRules), ['reading', 'building', 'done']);
    assert.deepEqual(await run(titleRules), ['done']);
    assert.deepEqual(await run(trainRules), ['reading', 'building', 'done']);
    await writeFile(join(output, 'conv', `${month}.tsv`), 'cut off');
    assert.deepEqual(await run(trainRules), ['reading', 'building', 'done']);
  });

  it('clears what a run left that was killed after its last file was whole', async (context) => {
    const output = await temporaryFolder(context);
    const settings = { input, output, rules: titleRules };
    await extractMonths([month], settings);
    const left = join(output, 'extract', month);
    await mkdir(left);
    await writeFile(join(left, 'rows'), 'rows');
    await extractMonths([month], settings);
    assert.deepEqual(await readdir(join(output, 'extract')), []);
  });

  it('comes to the same end after kill -9 at twenty random moments', async (context) => {
    const months = ['2018-05', '2018-06', '2018-07'];
    const folder = await temporaryFolder(context);
    for (const [index, name] of months.entries()) {
      await writeRedditDumps(folder, { month: name, commentBytes: 2e5, seed: index });
    }
    const whole = await temporaryFolder(context);
    await extractMonths(months, { input: folder, output: whole, rules: defaultRules });
    const output = await temporaryFolder(context);
    const random = new Random(5);
    const main = join(repository, 'dist', 'src', 'cli', 'main.js');
    const run = (killAfter: number | undefined): Promise<number | null> =>
      new Promise((resolve) => {
        const parameters = [
          'data',
          'extract',
          '2018-05..2018-07',
          '--jobs',
          '2',
          '--memory',
          '140MB',
        ];
        const child = spawn(
          process.execPath,
          [main, ...parameters, '--reddit-input', folder, '--reddit-output', output],
          { stdio: 'ignore' },
        );
        const timer = killAfter !== undefined && setTimeout(() => child.kill('SIGKILL'), killAfter);
        child.on('close', (code) => {
          if (timer !== false) clearTimeout(timer);
          resolve(code);
        });
      });
    for (let kill = 0; kill < 20; kill++) {
      await run(100 + random.below(600));
      for (const name of await readdir(join(output, 'conv')).catch(() => [])) {
        if (name.startsWith('.') || !name.endsWith('.tsv')) continue;
        const expected = await readFile(join(whole, 'conv', name));
        assert.ok(expected.equals(await readFile(join(output, 'conv', name))), name);
      }
    }
    assert.equal(await run(undefined), 0);
    for (const name of months) {
      const [expected, found] = [whole, output].map((place) => join(place, 'conv', `${name}.tsv`));
      assert.ok((await readFile(expected ?? '')).equals(await readFile(found ?? '')), name);
    }
    assert.deepEqual(await readdir(join(output, 'extract')), []);
  });
});

describe('the four variants of the original', () => {
  const sample = sharedData('reddit-sample');
  const skip = !existsSync(sample) && 'needs ../shared/data';
  const input = join(sample, 'dumps');
  const keepKeys = join(sample, 'keys.gz');
  const discardTargetKeys = join(sample, 'keys-o.gz');

  const variants: readonly [string, () => Promise<Omit<ExtractSettings, 'output'>>][] = [
    ['train', async () => ({ input, rules: await rules() })],
    ['keyed', async () => ({ input, rules: await rules(), keepKeys, discardTargetKeys })],
    [
      'test',
      () => {
        const rules = { ...plainRules, leavesOnly: false };
        return Promise.resolve({ input, rules, keepKeys });
      },
    ],
    ['titles', () => Promise.resolve({ input, rules: titleRules })],
  ];

  async function rules(): Promise<ExtractRules> {
    const subreddits = await readBlockList(join(sample, 'subreddits.blocklist.txt'));
    return {
      ...plainRules,
      blockedWords: await readBlockList(join(sample, 'words.blocklist.txt')),
      blockedSubreddits: subreddits.map((name) => name.toLowerCase()),
    };
  }

  for (const [name, settings] of variants) {
    it(`prints ${name} byte for byte, with its skips`, { skip }, async (context) => {
      const { text, statistics } = await extract(context, await settings(), ['2018-03']);
      const expected = gunzipSync(await readFile(join(sample, 'expected', `${name}.tsv.gz`)));
      assert.equal(text, expected.toString());
      const skips = (await readFile(join(sample, 'expected', `${name}.skips.tsv`), 'utf8'))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split('\t'));
      assert.deepEqual(
        statistics.skips,
        Object.fromEntries(skips.map(([reason = '', count]) => [reason, Number(count)])),
      );
    });
  }
});
