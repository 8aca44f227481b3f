import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { at } from '../../src/base/arrays.js';
import { runCommandLine } from '../../src/cli/program.js';
import { startCommand } from '../support/command.js';
import { golden, repository, sharedData, temporaryFolder } from '../support/files.js';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function evaluate(...flags: string[]): Promise<Outcome> {
  const main = join(repository, 'dist', 'src', 'cli', 'main.js');
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'eval', ...flags], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

const four = z.array(z.number()).length(4);
const scores = z.object({
  nist: four,
  bleu: four,
  meteor: z.number(),
  meteorStages: z.string(),
  entropy: four,
  distinct: z.array(z.number()).length(2),
  avgLength: z.number(),
});

describe('dialogpt eval', () => {
  it('scores files and prints the scores as JSON', async (context) => {
    const folder = await temporaryFolder(context);
    const [hypotheses, reference] = [join(folder, 'hyp.txt'), join(folder, 'ref.txt')];
    await writeFile(hypotheses, 'a b\n');
    await writeFile(reference, 'a b\n');
    const data = golden('evaluation', 'meteor-data');
    const with_ = await evaluate(hypotheses, '--refs', reference, '--json', '--meteor-data', data);
    assert.equal(with_.code, 0, with_.stderr);
    assert.equal(with_.stderr, '');
    const { bleu, meteor, meteorStages, avgLength } = scores.parse(JSON.parse(with_.stdout));
    assert.deepEqual([bleu[0], bleu[1], meteor, avgLength], [1, 1, 1, 2]);
    assert.equal(meteorStages, 'exact+stem+synonym+paraphrase');

    const without = await evaluate(hypotheses, '--refs', reference, reference);
    assert.match(without.stdout, /METEOR \(exact\+stem\) %/);
    assert.match(without.stderr, /meteor-1\.5\.tar\.gz.*--meteor-data/);
  });

  it('says in one sentence what is wrong', async (context) => {
    const folder = await temporaryFolder(context);
    const [two, one] = [join(folder, 'two.txt'), join(folder, 'one.txt')];
    await writeFile(two, 'a\nb\n');
    await writeFile(one, 'a\n');
    const unequal = await evaluate(two, '--refs', one);
    assert.equal(unequal.code, 1);
    assert.match(unequal.stderr, /^dialogpt: .*two\.txt has 2 lines but .*one\.txt has 1; .*\.\n$/);

    let written = '';
    context.mock.method(process.stderr, 'write', (text: string) => {
      written += text;
      return true;
    });
    assert.equal(await runCommandLine(['eval', two]), 2);
    assert.equal(await runCommandLine(['eval', two, '--refs', two, '--report', 'x.doc']), 1);
    assert.match(written, /x\.doc: the name/);
    assert.equal(await runCommandLine(['eval', 'judge', two]), 1);
    assert.match(written, /1 systems; name two/);
  });

  const noSignals = process.platform === 'win32' && 'needs POSIX signals';
  it('ends at once at a signal, in the midst of a metric', { skip: noSignals }, async (context) => {
    const path = join(await temporaryFolder(context), 'words.txt');
    await writeFile(path, `${'word '.repeat(100_000)}\n`);
    const other = `${path}.other`;
    await writeFile(other, `${'word '.repeat(100_000)}other\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const { process: child, ended } = startCommand(['eval', path, '--refs', other]);
      // Time to begin computing, which would take hours with these texts.
      await sleep(4000);
      child.kill(signal);
      const end = await ended;
      assert.ok(end.signal === signal || end.code === 130, JSON.stringify(end));
    }
  });

  it('says which report cannot be written', async (context) => {
    const folder = await temporaryFolder(context);
    const text = join(folder, 'text.txt');
    await mkdir(join(folder, 'x.json'));
    await writeFile(text, 'a <b> & "c" é 你好\r\n\r\nword\r\n');
    for (const report of [join(text, 'in-a-file.json'), join(folder, 'x.json')]) {
      const { code, stderr } = await evaluate(text, '--refs', text, '--report', report);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /\ndialogpt: .*(?:in-a-file|x)\.json.*\n$/);
      assert.doesNotMatch(stderr, / {4}at /);
    }
  });

  it('judges no binary, empty or unequal files', async (context) => {
    const folder = await temporaryFolder(context);
    const path = (name: string): string => join(folder, name);
    await writeFile(path('two.txt'), 'a\nb\n');
    await writeFile(path('one.txt'), 'a\n');
    await writeFile(path('empty.txt'), '');
    await writeFile(path('binary.bin'), Buffer.from([0xff, 0, 0xfe, 10, 0, 255, 128]));
    const judge = (first: string, second: string) =>
      evaluate(
        ...['judge', path(first), path(second), '--contexts', path('two.txt')],
        ...['--out', path('out.jsonl'), '--port', '0'],
      );
    for (const [first, second, words] of [
      ['two.txt', 'one.txt', /two\.txt has 2 lines but .*one\.txt has 1/],
      ['empty.txt', 'two.txt', /empty\.txt: the file is empty/],
      ['none.txt', 'two.txt', /none\.txt: no such file/],
    ] as const) {
      const { code, stderr } = await judge(first, second);
      assert.equal(code, 1);
      assert.match(stderr, words);
    }
    for (const name of ['empty.txt', 'binary.bin']) {
      const { stderr } = await evaluate('judge', '--tally', path(name));
      assert.doesNotMatch(stderr, / {4}at |unexpected/);
      assert.match(stderr, /^dialogpt: .*\n$/);
    }
  });

  it("runs DSTC-7's pipeline over a folder and leaves its report there", async (context) => {
    const folder = await temporaryFolder(context);
    const path = (...parts: string[]): string => join(folder, ...parts);
    await mkdir(path('systems'));
    await writeFile(path('systems', 'one.txt'), "I'm here\nNo!\n");
    await writeFile(path('systems', 'two.txt'), 'yes\nno\n');
    await writeFile(path('refs.txt'), "k2\t1|I'm here\t2|human two\nk1\t1|No!\t2|human one\n");
    await writeFile(path('keys.txt'), 'k2\nk1\n');
    const run = await evaluate(
      ...[path('systems'), '--refs', path('refs.txt'), '--keys', path('keys.txt')],
      ...['--clean', '--format', 'tsv', '--report', path('report.html')],
    );
    assert.equal(run.code, 0, run.stderr);
    const report = await readFile(path('systems', 'report_ref6_cleaned.tsv'), 'utf8');
    assert.equal(report, run.stdout);
    // The human response does not count: the only other reference is a copy of the response.
    assert.match(report, /one\.txt\t2\t[\d.]+\t[\d.]+\t[\d.]+\t[\d.]+\t1\.0\t1\.0\t/);
    assert.match(await readFile(path('report.html'), 'utf8'), /DSTC-7 winner/);

    const human = await evaluate('human', '--refs', path('refs.txt'), '--keys', path('keys.txt'));
    assert.equal(human.stdout, 'human two\nhuman one\n');
  });

  it('counts judgements', async (context) => {
    const path = join(await temporaryFolder(context), 'judgements.jsonl');
    const line = (instance: number, winner: string): string =>
      JSON.stringify({
        judge: 'x',
        instance: `${instance}`,
        question: 'relevance',
        first: 'a',
        second: 'b',
        winner,
      });
    await writeFile(path, `${line(1, 'first')}\n${line(2, 'tie')}\n`);
    const json = z.object({ tallies: z.array(z.object({ judgements: z.number() })) });
    const { stdout } = await evaluate('judge', '--tally', path, '--json');
    const counted = json.parse(JSON.parse(stdout));
    assert.equal(counted.tallies[0]?.judgements, 2);
  });

  const skip = !existsSync(sharedData('dstc7')) && 'needs ../shared/data';
  it('equals every number of the reference tools on DSTC-7', { skip }, async () => {
    const expectedSchema = z.object({
      systems: z.record(
        z.string(),
        scores.omit({ meteor: true, meteorStages: true, distinct: true, avgLength: true }).extend({
          meteor_noparaphrase: z.number(),
          diversity: z.array(z.number()),
          avg_len: z.number(),
        }),
      ),
    });
    const text = await readFile(sharedData('dstc7', 'expected.json'), 'utf8');
    const { systems } = expectedSchema.parse(JSON.parse(text));
    assert.ok(Object.keys(systems).length >= 2);
    const references = [0, 1, 2, 3, 4, 5].map((place) => sharedData('dstc7', `ref${place}.txt`));
    const names = Object.keys(systems);
    const { stdout } = await evaluate(
      ...[...names.map((system) => sharedData('dstc7', `${system}.txt`)), '--refs', ...references],
      ...['--meteor-data', sharedData('meteor'), '--json'],
    );
    const report = z.object({ systems: z.array(scores) }).parse(JSON.parse(stdout));
    assert.equal(report.systems.length, names.length);
    for (const [index, expected] of Object.values(systems).entries()) {
      const actual = at(report.systems, index);
      assert.deepEqual(actual.nist, expected.nist);
      assert.deepEqual(actual.bleu, expected.bleu);
      const close = (a: readonly number[], b: readonly number[]): void => {
        a.forEach((number, index) => {
          assert.ok(
            Math.abs(number - (b[index] ?? NaN)) < 1e-9,
            `${number}, not ${b[index] ?? NaN}`,
          );
        });
      };
      close([actual.meteor, actual.avgLength], [expected.meteor_noparaphrase, expected.avg_len]);
      close(actual.entropy, expected.entropy);
      close(actual.distinct, expected.diversity);
    }
  });
});
