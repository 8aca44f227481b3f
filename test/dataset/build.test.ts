import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, it } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import { z } from 'zod';
import { at, range } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import {
  buildDataset,
  type BuildOptions,
  Dataset,
  IGNORED_LABEL,
} from '../../src/dataset/index.js';
import { gpt2Tokenizer, Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { golden, sharedData, temporaryFolder } from '../support/files.js';
import { goldenLines } from '../support/golden.js';

/** An example as the original writes it, padded to a multiple of 8. */
const original = z.object({
  line: z.number().optional(),
  input_ids: z.array(z.number()),
  token_type_ids: z.array(z.number()),
  lm_labels: z.array(z.number()),
  weights: z.array(z.union([z.number(), z.enum(['NaN', 'Infinity'])]).transform(Number)),
});

/** Compares a dataset with what the original made, example by example. */
function assertOriginal(dataset: Dataset, expected: readonly z.infer<typeof original>[]): void {
  assert.equal(dataset.length, expected.length);
  for (const [index, row] of expected.entries()) {
    const example = dataset.example(index);
    const length = example.inputIds.length;
    assert.equal(Math.ceil(length / 8) * 8, row.input_ids.length);
    assert.equal(dataset.inputLength(index) >= length, true);
    const unpadded = (values: readonly number[], filler: number) => {
      assert.ok(values.slice(length).every((value) => value === filler));
      return values.slice(0, length);
    };
    assert.deepEqual([...example.inputIds], unpadded(row.input_ids, 0), `example ${index}`);
    assert.deepEqual([...example.labels], unpadded(row.lm_labels, IGNORED_LABEL));
    assert.deepEqual([...example.tokenTypeIds], unpadded(row.token_type_ids, 0));
    const weights = Float32Array.from(unpadded(row.weights, 0));
    assert.deepEqual(example.weights, weights);
    if (row.line !== undefined) assert.equal(dataset.conversation(index), row.line);
  }
}

async function corpusOf(folder: string, lines: readonly string[]): Promise<string> {
  const path = join(folder, 'corpus.tsv');
  await writeFile(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

const small = new Tokenizer(trainVocabulary(['hello there how are you fine and you good'], 280));

describe('buildDataset', () => {
  const runs: readonly (readonly [string, BuildOptions])[] = [
    ['128', { maxSequenceLength: 128 }],
    ['24', { maxSequenceLength: 24 }],
    ['8', { maxSequenceLength: 8 }],
    ['24.reverse', { maxSequenceLength: 24, reverse: true }],
    ['24.two-turn', { maxSequenceLength: 24, twoTurn: true }],
    ['24.reverse.two-turn', { maxSequenceLength: 24, reverse: true, twoTurn: true }],
  ];
  for (const [name, options] of runs) {
    it(`makes what the original's prepro.py makes: ${name}`, async (context) => {
      const out = join(await temporaryFolder(context), 'set');
      const corpus = golden('dataset', 'corpus.tsv');
      const { counts } = await buildDataset(corpus, out, gpt2Tokenizer(), {
        ...options,
        compat: true,
      });
      assertOriginal(
        await Dataset.open(out),
        await goldenLines(original, 'dataset', `${name}.jsonl`),
      );
      assert.equal(counts.brokenLines, 4);
      assert.equal(counts.dropped, 0);
    });
  }

  it('takes conversations once for each number of turns, but held-out ones once', async (context) => {
    const folder = await temporaryFolder(context);
    const lines = range(0, 40).map((line) => `hello ${line} EOS how are you EOS fine\tgood`);
    const corpus = await corpusOf(folder, lines);
    const build = async (maxTurns: readonly number[]) => {
      const out = join(folder, maxTurns.join('-'));
      return (await buildDataset(corpus, out, small, { maxTurns, validation: 0.3 })).splits;
    };
    const whole = await build([0]);
    const pairs = await build([2]);
    const both = await build([0, 2]);
    assert.ok(whole.validation.examples > 0);
    assert.equal(pairs.train.examples, 3 * whole.train.examples);
    assert.equal(pairs.train.labels, whole.train.labels);
    assert.equal(both.train.examples, 4 * whole.train.examples);
    assert.deepEqual(both.validation, whole.validation);
    await assert.rejects(build([0, 1]), UserError);
  });

  const sample = sharedData('reddit-sample');
  for (const [name, options] of [
    ['train.128', { maxSequenceLength: 128 }],
    ['train.48.reverse', { maxSequenceLength: 48, reverse: true }],
  ] as const) {
    const skip = !existsSync(sample) && 'needs ../shared/data';
    it(`makes of the Reddit sample what the original does: ${name}`, { skip }, async (context) => {
      const folder = await temporaryFolder(context);
      const unzipped = async (path: string) => gunzipSync(await readFile(path)).toString('utf8');
      const keyed = await unzipped(join(sample, 'expected', 'train.tsv.gz'));
      const lines = keyed.trimEnd().split('\n');
      const corpus = await corpusOf(
        folder,
        lines.map((line) => line.split('\t').slice(1).join('\t')),
      );
      await buildDataset(corpus, join(folder, 'set'), gpt2Tokenizer(), {
        ...options,
        compat: true,
      });
      const text = await unzipped(join(sample, 'dataset', `${name}.jsonl.gz`));
      const rows = text
        .trimEnd()
        .split('\n')
        .map((line) => original.parse(JSON.parse(line)));
      assertOriginal(await Dataset.open(join(folder, 'set')), rows);
    });
  }

  it('reads weights strictly and splits to fit, unless asked for the original', async (context) => {
    const folder = await temporaryFolder(context);
    const turns = range(0, 12).map((turn) => `turn ${turn} of a long one`);
    const corpus = await corpusOf(folder, [
      '20 years old .\tsure',
      `${turns.join(' EOS ')}\tthe end`,
      'a\t0.0 b',
    ]);
    const out = join(folder, 'set');
    const description = await buildDataset(corpus, out, gpt2Tokenizer(), { maxSequenceLength: 24 });
    assert.equal(description.long, 'split');
    assert.deepEqual(description.counts, {
      conversations: 3,
      repeated: 0,
      brokenLines: 0,
      withoutResponse: 1,
      dropped: 0,
      longTurns: 0,
    });
    const dataset = await Dataset.open(out);
    assert.equal(gpt2Tokenizer().decode(at(dataset.turns(0), 0)), '20 years old .');
    assert.deepEqual(dataset.weights(0), [1, 1]);
    let labels = 0;
    let tokens = 0;
    for (const index of range(0, dataset.length)) {
      const example = dataset.example(index);
      assert.ok(example.inputIds.length <= 24);
      tokens += example.inputIds.length;
      labels += example.labels.filter((label) => label !== IGNORED_LABEL).length;
    }
    const { train } = description.splits;
    assert.deepEqual(
      [train.examples, train.tokens, train.labels],
      [dataset.length, tokens, labels],
    );
    // Every turn but the very first is learnt once, with its end of text.
    const learnt = [...turns.slice(1), 'the end', 'sure'].map(
      (turn) => gpt2Tokenizer().encode(turn).length + 1,
    );
    assert.equal(
      labels,
      learnt.reduce((total, count) => total + count, 0),
    );
  });

  it('drops and counts what the original would discard, on demand', async (context) => {
    const folder = await temporaryFolder(context);
    const corpus = await corpusOf(folder, ['a b c d e f g h\ti j k l m n o p', 'a\tb']);
    const options = { maxSequenceLength: 12, long: 'drop' } as const;
    const { counts, splits } = await buildDataset(
      corpus,
      join(folder, 'x'),
      gpt2Tokenizer(),
      options,
    );
    assert.deepEqual([counts.dropped, counts.withoutResponse, splits.train.examples], [1, 0, 1]);
  });

  it('writes shards that any Parquet reader opens', async (context) => {
    const folder = await temporaryFolder(context);
    const corpus = await corpusOf(
      folder,
      range(0, 7).map((line) => `0.0 hello EOS 1.0 there ${line}\tyou`),
    );
    const out = join(folder, 'set');
    const { splits } = await buildDataset(corpus, out, small, { shardSize: 3 });
    const shards = ['train-00000.parquet', 'train-00001.parquet', 'train-00002.parquet'];
    assert.deepEqual(
      splits.train.shards,
      shards.map((file, index) => ({ file, examples: index < 2 ? 3 : 1 })),
    );
    const rows: unknown[] = [];
    for (const shard of shards) {
      const file = new Uint8Array(await readFile(join(out, shard))).buffer;
      rows.push(...(await parquetReadObjects({ file })));
    }
    const texts = range(0, 7).map((line) => ['hello', `there ${line}`, 'you']);
    assert.deepEqual(
      rows,
      texts.map((turns, line) => ({
        conversation: line + 1,
        input_length: turns.flatMap((turn) => small.encode(turn)).length + 2,
        turn_count: 3,
        token_ids: turns.flatMap((turn) => small.encode(turn)),
        turn_lengths: turns.map((turn) => small.encode(turn).length),
        turn_weights: [0, 1, 1],
      })),
    );
    const files = ['dataset.json', 'merges.txt', ...shards, 'tokenizer_config.json', 'vocab.json'];
    assert.deepEqual((await readdir(out)).sort(), files.sort());
  });

  it('holds out by the text, so that what is repeated is on one side', async (context) => {
    const folder = await temporaryFolder(context);
    const lines = range(0, 400).map((line) => `hello ${line % 100}\tthere ${line % 100}`);
    const build = async (name: string, chosen: readonly string[]) => {
      const out = join(folder, name);
      const corpus = await corpusOf(folder, chosen);
      await buildDataset(corpus, out, small, { validation: 0.3 });
      const texts = async (split: 'train' | 'validation') => {
        const dataset = await Dataset.open(out, split);
        return range(0, dataset.length).map((index) =>
          dataset
            .turns(index)
            .map((turn) => small.decode(turn))
            .join('|'),
        );
      };
      return { train: await texts('train'), validation: await texts('validation') };
    };
    const all = await build('all', lines);
    assert.equal(all.train.length + all.validation.length, 400);
    const held = new Set(all.validation);
    assert.ok(held.size > 15 && held.size < 45, `${held.size} of 100`);
    assert.ok(all.train.every((text) => !held.has(text)));
    const part = await build('part', lines.slice(40, 90).toReversed());
    assert.ok(part.validation.every((text) => held.has(text)));
    assert.ok(part.train.every((text) => !held.has(text)));
  });

  it('joins short dialogues on demand, each reply still learnt and no opening', async (context) => {
    const folder = await temporaryFolder(context);
    const lines = range(0, 40).map((line) => `hello ${line} EOS there ${line}\tfine ${line}`);
    const corpus = await corpusOf(folder, lines);
    const open = async (options: BuildOptions) => {
      const out = join(folder, options.join === true ? 'joined' : 'apart');
      await buildDataset(corpus, out, small, { maxSequenceLength: 64, ...options });
      return Dataset.open(out);
    };
    const apart = await open({});
    const joined = await open({ join: true });
    assert.ok(joined.length < apart.length / 2, `${joined.length} of ${apart.length}`);
    const turnsOf = (dataset: Dataset) =>
      range(0, dataset.length).flatMap((index) =>
        dataset.turns(index).map((turn) => small.decode(turn)),
      );
    assert.deepEqual(turnsOf(joined), turnsOf(apart));
    const { tokens, labels } = joined.description.splits.train;
    assert.equal(labels, apart.description.splits.train.labels);
    assert.equal(tokens, apart.description.splits.train.tokens + 40 - joined.length);
    for (const index of range(0, joined.length)) {
      assert.ok(joined.inputLength(index) <= 64);
      const openings = joined.weights(index).filter((_, turn) => turn % 3 === 0);
      assert.ok(openings.every((weight, turn) => weight === (turn === 0 ? 1 : 0)));
    }
  });

  it('leaves nothing behind, and what was there untouched, when it fails', async (context) => {
    const folder = await temporaryFolder(context);
    const out = join(folder, 'set');
    const good = await corpusOf(folder, ['a\tb']);
    await buildDataset(good, out, small);
    const before = await readFile(join(out, 'dataset.json'), 'utf8');
    const failures: readonly (readonly [readonly string[], RegExp])[] = [
      [['a\tb', 'c\td', 'no tab'], /:3: expected "turn EOS turn <tab> response", found 0 tabs/],
      [[], /: nothing to train on was found in 0 conversations/],
      [['a\t0.0 b'], /: nothing to train on was found in 1 conversations/],
    ];
    for (const [lines, message] of failures) {
      const corpus = await corpusOf(folder, lines);
      for (const target of [out, join(folder, 'new')]) {
        await assert.rejects(buildDataset(corpus, target, small), (error: unknown) => {
          assert.ok(error instanceof UserError);
          assert.ok(error.message.startsWith(corpus));
          assert.match(error.message, message);
          return true;
        });
      }
    }
    await assert.rejects(buildDataset(join(folder, 'missing'), out, small), UserError);
    assert.deepEqual((await readdir(folder)).sort(), ['corpus.tsv', 'set']);
    assert.equal(await readFile(join(out, 'dataset.json'), 'utf8'), before);
  });
});
