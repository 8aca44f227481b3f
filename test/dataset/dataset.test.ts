import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import { buildDataset, Dataset } from '../../src/dataset/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { temporaryFolder } from '../support/files.js';

const tokenizer = new Tokenizer(trainVocabulary(['hello there'], 257));

describe('Dataset', () => {
  async function dataset(context: TestContext): Promise<string> {
    const folder = await temporaryFolder(context);
    const corpus = join(folder, 'corpus.tsv');
    await writeFile(corpus, 'hello\tthere\nhow are you\tfine\n');
    await buildDataset(corpus, join(folder, 'set'), tokenizer);
    return join(folder, 'set');
  }

  async function refuses(folder: string, start: string, message: RegExp): Promise<void> {
    await assert.rejects(Dataset.open(folder), (error: unknown) => {
      assert.ok(error instanceof UserError, String(error));
      assert.ok(error.message.startsWith(`${start}: `), error.message);
      assert.match(error.message, message);
      assert.ok(!error.message.includes('\n'));
      return true;
    });
  }

  it('reads back what was written', async (context) => {
    const set = await Dataset.open(await dataset(context));
    assert.equal(set.length, 2);
    assert.deepEqual(
      set.turns(1).map((turn) => tokenizer.decode(turn)),
      ['how are you', 'fine'],
    );
    assert.equal(set.inputLength(1), set.example(1).inputIds.length);
    assert.equal(set.conversation(1), 2);
    const held = await Dataset.open(await dataset(context), 'validation');
    assert.equal(held.length, 0);
    assert.throws(() => set.example(2), RangeError);
  });

  it('tells a folder that is no dataset, or not finished', async (context) => {
    const folder = await dataset(context);
    const description = join(folder, 'dataset.json');
    const text = await readFile(description, 'utf8');
    await writeFile(description, text.slice(0, -20));
    await refuses(folder, description, /not valid JSON/);
    await writeFile(description, text.replace('dialogpt-dataset-2', 'dialogpt-dataset-9'));
    await refuses(folder, description, /does not describe a dataset .*format.*; build it again\.$/);
    await rm(description);
    await refuses(folder, folder, /no dataset\.json.*; run `dialogpt data build`\.$/);
    await refuses(join(folder, 'missing'), join(folder, 'missing'), /no dataset\.json/);
  });

  it('names a shard that is missing or damaged', async (context) => {
    const folder = await dataset(context);
    const shard = join(folder, 'train-00000.parquet');
    const bytes = await readFile(shard);
    const damages = [
      bytes.subarray(0, bytes.length - 9),
      bytes.subarray(0, 3),
      new Uint8Array(),
      Buffer.from('no Parquet at all'),
    ];
    for (const damaged of damages) {
      await writeFile(shard, damaged);
      await refuses(folder, shard, /not a shard of a dataset .*; build the dataset again\.$/);
    }
    await rm(shard);
    await refuses(folder, shard, /no such file/);
    await mkdir(shard);
    await refuses(folder, shard, /this is a folder/);
  });

  it('tells shards that do not hold what dataset.json counts', async (context) => {
    const folder = await dataset(context);
    const other = await dataset(context);
    const corpus = join(folder, '..', 'corpus.tsv');
    await writeFile(corpus, 'hello\tthere\n');
    await buildDataset(corpus, other, tokenizer);
    const shard = join(folder, 'train-00000.parquet');
    await copyFile(join(other, 'train-00000.parquet'), shard);
    await refuses(folder, shard, /holds 1 examples.*dataset\.json says 2.*build the dataset again/);
  });
});
