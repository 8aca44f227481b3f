import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { runCommand } from '../support/command.js';
import { golden } from '../support/files.js';
import { succeed, writeSmallCorpus } from '../support/tiny.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  await writeSmallCorpus(folder, 200);
});
after(() => rm(folder, { recursive: true, force: true }));

const json = (text: string): unknown => JSON.parse(text);

describe('data build and inspect', () => {
  before(async () => {
    const text = await readFile(join(folder, 'small.tsv'), 'utf8');
    await writeFile(join(folder, 'twice.tsv.gz'), gzipSync(text + text));
    await writeFile(join(folder, 'held.tsv'), text.split('\n').slice(0, 20).join('\n'));
    const words = ['data', 'build', '--corpus', 'twice.tsv.gz', '--out', 'set'];
    const flags = ['--validation', 'held.tsv', '--deduplicate', '--max-seq-len', '64', '--json'];
    const built = json(await succeed(folder, [...words, ...flags]));
    const schema = z.object({
      maxSequenceLength: z.literal(64),
      counts: z.object({ conversations: z.literal(420), repeated: z.number() }),
      splits: z.object({ validation: z.object({ examples: z.number() }) }),
    });
    const { counts, splits } = schema.parse(built);
    // All of the second copy, and what is held out.
    assert.ok(counts.repeated >= 220, String(counts.repeated));
    assert.ok(splits.validation.examples >= 20);
  });

  it('shows examples with turns, weights and numbers of tokens', async () => {
    const words = ['data', 'inspect', 'set', '--start', '1', '--limit', '2'];
    const shown = await succeed(folder, words);
    assert.match(shown, /^set: of 420 conversations\n {2}train: \d+ examples/);
    assert.match(shown, /\n {2}\d+ conversations left out: they stood before\n/);
    assert.match(shown, /\nexample 1, line \d+: \d+ tokens, \d+ to learn\n/);
    assert.match(shown, /\n {2}1\. weight [01], \d+ tokens +\S/);
    assert.ok(!shown.includes('example 3') && !shown.includes('\u001b'));
  });

  it('gives conversations back as a corpus has them', async () => {
    const words = ['data', 'inspect', 'set', '--tsv', '--split', 'validation'];
    const lines = (await succeed(folder, words)).trimEnd().split('\n');
    const held = (await readFile(join(folder, 'held.tsv'), 'utf8')).split('\n');
    // Dialogues that are longer than 64 tokens have been cut.
    assert.ok(lines.filter((line) => held.includes(line)).length >= 10);
    assert.ok(lines.every((line) => line.split('\t').length === 2));
  });

  it('streams examples as JSON lines', async () => {
    const row = z.object({
      conv_id: z.number(),
      input_ids: z.array(z.number()),
      lm_labels: z.array(z.number()),
      weights: z.array(z.number()),
      token_type_ids: z.array(z.number()),
    });
    const words = ['data', 'inspect', 'set', '--json', '--split', 'validation'];
    const lines = (await succeed(folder, words)).trimEnd().split('\n');
    assert.ok(lines.length >= 20);
    for (const [index, line] of lines.entries()) {
      const { conv_id, input_ids, ...others } = row.parse(json(line));
      assert.equal(conv_id, index);
      for (const list of Object.values(others)) assert.equal(list.length, input_ids.length);
    }
  });

  it('tells statistics as a table, histograms and JSON', async () => {
    const shown = await succeed(folder, ['data', 'inspect', 'set', '--statistics']);
    assert.match(shown, /labels +\d+ +[\d.]+ % of the tokens\n/);
    assert.match(shown, /turns of an example\n +2 █+ +\d+ +[\d.]+ %\n/);
    for (const line of shown.split('\n')) assert.ok(line.length <= 110);
    const schema = z.object({ examples: z.number(), tokens: z.number(), labels: z.number() });
    const described = json(await readFile(join(folder, 'set', 'dataset.json'), 'utf8'));
    const { train } = z.object({ splits: z.object({ train: schema }) }).parse(described).splits;
    const told = json(await succeed(folder, ['data', 'inspect', 'set', '--statistics', '--json']));
    const { examples, labels } = schema.parse(told);
    assert.deepEqual([examples, labels], [train.examples, train.labels]);
  });

  it('explains what --validation takes', async () => {
    const words = ['data', 'build', '--corpus', 'small.tsv', '--out', 'x', '--validation'];
    const share = await runCommand([...words, '1.5'], { cwd: folder });
    assert.equal(share.code, 2, share.stderr);
    assert.match(share.stderr, /share from 0 to below 1, or a file/);
    const missing = await runCommand([...words, 'missing.tsv'], { cwd: folder });
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /missing\.tsv: no such file/);
  });
});

describe('data stats', () => {
  it('counts, draws, and tells whether it is the full corpus', async () => {
    await writeFile(join(folder, 'two.tsv'), '0.0 a b EOS c\t1.0 d e f\nx\ty\n');
    const shown = await succeed(folder, ['data', 'stats', 'two.tsv']);
    assert.match(shown, /conversations +2 +146846215 +0\.0000 %/);
    assert.match(shown, /source tokens +6 +3870000000/);
    assert.match(shown, /target tokens +5 +2140000000/);
    assert.match(shown, /turns of a conversation\n +2 █+ +1 +50\.0 %\n +3 █+ +1 +50\.0 %/);
    const counts = json(await succeed(folder, ['data', 'stats', 'two.tsv', 'two.tsv', '--json']));
    const schema = z.object({ lines: z.literal(4), isFull: z.literal(false) });
    schema.parse(counts);
    const words = ['data', 'stats', 'two.tsv', '--expect-full'];
    const { code, stderr } = await runCommand(words, { cwd: folder });
    assert.equal(code, 1);
    assert.match(stderr, /not the full corpus's 146846215 conversations with 3\.87 and 2\.14 bill/);
  });
});

describe('data status', () => {
  it('tells of each month what is done, and of all together', async () => {
    const out = join(folder, 'reddit');
    await mkdir(join(out, 'extract', '2018-04'), { recursive: true });
    const began = Date.now() - 60_000;
    const progress = { stage: 'building', share: 0.25, began, written: began + 30_000 };
    await writeFile(join(out, 'extract', '2018-04', 'progress.json'), JSON.stringify(progress));
    const shown = await succeed(folder, ['data', 'status', '--reddit-output', 'reddit']);
    assert.match(
      shown,
      /^2018-04 {2}building +25 %, 1m30s to go in this stage\n0 of 1 months done/,
    );
    assert.match(await succeed(folder, ['data', 'status']), /no month was begun/);
    const line = await succeed(folder, ['data', 'status', '--reddit-output', 'reddit', '--json']);
    z.object({ month: z.literal('2018-04'), state: z.literal('started') }).parse(json(line));
  });
});

describe('data import', () => {
  it('imports, counts, and names the formats', async () => {
    await writeFile(join(folder, 'chat.jsonl'), '["a","b"]\n["c","d","e"]\n["alone"]\n');
    const words = ['data', 'import', 'jsonl', 'chat.jsonl', '--out', 'chat.tsv'];
    assert.match(await succeed(folder, words), /chat\.tsv: 2 conversations, 5 turns; 1 left out/);
    assert.equal(await readFile(join(folder, 'chat.tsv'), 'utf8'), 'a\tb\nc EOS d\te\n');
    const counts = json(await succeed(folder, [...words, '--json']));
    assert.deepEqual(counts, { out: 'chat.tsv', conversations: 2, turns: 5, tooShort: 1 });
    const { code, stderr } = await runCommand(['data', 'import', 'icq', 'x', '--out', 'y']);
    assert.equal(code, 2);
    assert.match(stderr, /whatsapp.*synthetic-persona-chat/);
  });
});

describe('data refs', () => {
  it('makes the test set, and converts it', async () => {
    const part = (name: string) => golden('corpus', `refs-${name}`);
    const make = ['data', 'refs', '--ids', part('ids.txt'), '--data', part('data.tsv.gz')];
    const made = await succeed(folder, [...make, '--out', 'refs', '--dstc7', 'refs/dstc7']);
    assert.match(made, /test\.refs\.txt: 80 contexts/);
    const read = (name: string) => readFile(join(folder, name), 'utf8');
    assert.equal(await read('refs/test.refs.txt'), await readFile(part('plain.txt'), 'utf8'));
    const from = ['data', 'refs', '--from', 'refs/test.scored_refs.txt'];
    await succeed(folder, [...from, '--dstc7', 'again']);
    assert.equal(await read('again'), await read('refs/dstc7'));
    assert.match((await read('again')).split('\n')[0] ?? '', /^[0-9a-f]{56}\t\d+\|/);
    const { code, stderr } = await runCommand(['data', 'refs'], { cwd: folder });
    assert.equal(code, 2);
    assert.match(stderr, /--ids and --data to make a test set, or --from/);
  });
});
