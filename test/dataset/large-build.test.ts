import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { before, describe, it, after } from 'node:test';
import { tmpdir } from 'node:os';
import { gzipSync } from 'node:zlib';
import { writeConversations } from '../../bench/conversations.js';
import { range } from '../../src/base/arrays.js';
import { exists } from '../../src/base/files.js';
import { buildDataset, type BuildOptions, Dataset } from '../../src/dataset/index.js';
import { buildFolder } from '../../src/dataset/build.js';
import { gpt2Tokenizer } from '../../src/tokenizer/index.js';
import { startCommand } from '../support/command.js';

let folder = '';
let corpus = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  corpus = join(folder, 'corpus.tsv');
  await writeConversations(corpus, 6000, 3);
});
after(() => rm(folder, { recursive: true, force: true }));

/** The bytes of every file of a folder. */
async function contentsOf(path: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(path)).sort();
  const read = async (name: string) => [name, await readFile(join(path, name), 'base64')] as const;
  return new Map(await Promise.all(names.map(read)));
}

async function build(name: string, options: BuildOptions): Promise<ReadonlyMap<string, string>> {
  const out = join(folder, name);
  await buildDataset(corpus, out, gpt2Tokenizer(), {
    shardSize: 500,
    validation: 0.1,
    deduplicate: 'exact',
    ...options,
  });
  return contentsOf(out);
}

const FLAGS = ['--shard-size', '500', '--validation', '0.1', '--deduplicate'];

describe('a large build', () => {
  it('writes the same bytes whatever the number of workers', async () => {
    const one = await build('one', { threads: 1 });
    assert.equal(one.size, 2 * 12 + 1);
    assert.deepEqual(await build('three', { threads: 3 }), one);
  });

  it('goes on after kill -9, at whatever moment, to the same bytes', async () => {
    const whole = await build('whole', {});
    const out = join(folder, 'killed');
    const words = ['data', 'build', '--corpus', corpus, '--out', out, ...FLAGS];
    const blocks = join(buildFolder(out), 'blocks');
    const done = async () => (await readdir(blocks).catch(() => [])).length;
    for (const least of [2, 7]) {
      const { process: child, ended } = startCommand([...words, '--threads', '2']);
      while ((await done()) < least && child.exitCode === null) await setTimeout(5);
      child.kill('SIGKILL');
      await ended;
    }
    assert.ok((await done()) >= 7);
    assert.ok(!(await exists(out)));
    // What was done before must not be done again: a result that is changed shows in the end.
    const first = join(blocks, '0.json');
    const known = await readFile(first, 'utf8');
    await writeFile(first, known.replace(/"conversations":\d+/, '"conversations":1000500'));
    const { code, stdout, stderr } = await startCommand(words).ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /of 1006000 conversations/);
    const shards = (files: ReadonlyMap<string, string>) =>
      [...files].filter(([name]) => name.endsWith('.parquet'));
    assert.deepEqual(shards(await contentsOf(out)), shards(whole));
    assert.ok(!(await exists(buildFolder(out))));
  });

  it('starts anew when the corpus or the flags have changed', async () => {
    const out = join(folder, 'changed');
    const stop = new AbortController();
    const options = { shardSize: 500, resume: true, threads: 1 };
    const stopped = buildDataset(corpus, out, gpt2Tokenizer(), {
      ...options,
      signal: stop.signal,
    });
    while (!(await exists(join(buildFolder(out), 'blocks', '0.json')))) await setTimeout(5);
    stop.abort();
    await assert.rejects(stopped);
    assert.ok(await exists(buildFolder(out)));
    const fewer = { ...options, maxSequenceLength: 32 };
    const { maxSequenceLength } = await buildDataset(corpus, out, gpt2Tokenizer(), fewer);
    assert.equal(maxSequenceLength, 32);
    const set = await Dataset.open(out);
    assert.ok(set.lengths.every((length) => length <= 32));
    assert.ok(!(await exists(buildFolder(out))));
  });

  it('names the first broken line of a large corpus, and leaves nothing', async () => {
    const lines = (await readFile(corpus, 'utf8')).trimEnd().split('\n');
    lines[4321] = 'no tab';
    lines[5000] = 'no tab';
    const broken = join(folder, 'broken.tsv');
    await writeFile(broken, lines.join('\n'));
    const out = join(folder, 'never');
    const options = { shardSize: 500, resume: true, threads: 2 };
    await assert.rejects(
      buildDataset(broken, out, gpt2Tokenizer(), options),
      /broken\.tsv:4322: expected .*found 0 tabs/,
    );
    assert.ok(!(await exists(out)) && !(await exists(buildFolder(out))));
    const { counts } = await buildDataset(broken, out, gpt2Tokenizer(), {
      ...options,
      compat: true,
    });
    assert.deepEqual([counts.brokenLines, counts.conversations], [2, 5998]);
  });

  it('reads lines as Python does, compressed or not', async () => {
    const endings = ['\n', '\r\n', '\r'];
    const lines = (await readFile(corpus, 'utf8')).trimEnd().split('\n').slice(0, 700);
    const mixed = lines.map((line, index) => `${line}${endings[index % 3] ?? ''}`).join('');
    const [plain, odd, packed] = ['plain.tsv', 'odd.tsv', 'odd.tsv.gz'].map((name) =>
      join(folder, name),
    );
    assert.ok(plain !== undefined && odd !== undefined && packed !== undefined);
    await writeFile(plain, lines.join('\n'));
    await writeFile(odd, `\uFEFF${mixed}`);
    await writeFile(packed, gzipSync(`\uFEFF${mixed}`));
    const shards = [];
    for (const path of [plain, odd, packed]) {
      const out = join(folder, 'lines');
      await buildDataset(path, out, gpt2Tokenizer(), { shardSize: 100 });
      shards.push([...(await contentsOf(out))].filter(([name]) => name !== 'dataset.json'));
    }
    assert.equal(shards[0]?.length, 7);
    assert.deepEqual(shards[1], shards[0]);
    assert.deepEqual(shards[2], shards[0]);
  });
});

describe('deduplication and validation', () => {
  const small = async (lines: readonly string[], name: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, lines.map((line) => `${line}\n`).join(''));
    return path;
  };
  const lines = [
    'hello there\thow are you?',
    't3_1,t1_2,t1_3\thello there\thow are you?',
    'Hello there!\thow are you',
    'hello there\tfine',
    'hello there\thow are you?',
  ];
  const conversationsOf = async (out: string, split: 'train' | 'validation') => {
    const set = await Dataset.open(out, split);
    return range(0, set.length).map((index) => set.conversation(index));
  };

  it('leaves out what stood before: the same bytes, or nearly', async () => {
    const path = await small(lines, 'repeated.tsv');
    const out = join(folder, 'deduplicated');
    const exact = await buildDataset(path, out, gpt2Tokenizer(), { deduplicate: 'exact' });
    assert.equal(exact.counts.repeated, 2);
    assert.deepEqual(await conversationsOf(out, 'train'), [1, 3, 4]);
    const near = await buildDataset(path, out, gpt2Tokenizer(), { deduplicate: 'near' });
    assert.equal(near.counts.repeated, 3);
    assert.deepEqual(await conversationsOf(out, 'train'), [1, 4]);
  });

  it('finds repeated lines across blocks', async () => {
    const path = await small(
      [...range(0, 300), ...range(0, 300)].map((n) => `a ${n}\tb`),
      'x.tsv',
    );
    const { counts, splits } = await buildDataset(path, join(folder, 'x'), gpt2Tokenizer(), {
      deduplicate: 'exact',
      shardSize: 70,
    });
    assert.deepEqual([counts.conversations, counts.repeated], [600, 300]);
    assert.equal(splits.train.examples, 300);
  });

  it('validates on a corpus of its own, which is not trained on', async () => {
    const held = await small(['hello there\tfine', 'x\ty'], 'held.tsv');
    const path = await small(lines, 'train.tsv');
    const out = join(folder, 'own');
    const options = { validationCorpus: held };
    await buildDataset(path, out, gpt2Tokenizer(), options);
    assert.deepEqual(await conversationsOf(out, 'validation'), [1, 2]);
    assert.deepEqual(await conversationsOf(out, 'train'), [1, 2, 3, 4, 5]);
    await buildDataset(path, out, gpt2Tokenizer(), { ...options, deduplicate: 'exact' });
    assert.deepEqual(await conversationsOf(out, 'validation'), [1, 2]);
    assert.deepEqual(await conversationsOf(out, 'train'), [1, 3]);
  });
});
