import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { at } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { loadCheckpoint, loadRanker, saveCheckpoint } from '../../src/checkpoint/folder.js';
import { loadParameters, loadRankerWeights, readConfig } from '../../src/checkpoint/parameters.js';
import { openWeights } from '../../src/checkpoint/weights.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { gpt2Logits } from '../support/logits.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { expectedFromPyTorch } from '../support/checkpoints.js';
import { golden, temporaryFolder } from '../support/files.js';

const tokenizer = new Tokenizer({ tokens: [[97], [98], [97, 98]] });

const folder = (name: string): string => golden('checkpoint', name);

function assertClose(actual: Float32Array, expected: readonly number[], relative: number): void {
  assert.equal(actual.length, expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  for (const [index, value] of expected.entries()) {
    const difference = Math.abs(at(actual, index) - value);
    assert.ok(difference <= relative * scale, `element ${index} is off by ${difference}`);
  }
}

describe('logits of loaded models equal those of PyTorch', () => {
  for (const [name, reference] of [
    ['safetensors-f32', 'logits-f32'],
    ['safetensors-f16', 'logits-f16'],
    ['safetensors-bf16', 'logits-bf16'],
    ['safetensors-sharded', 'logits-f32'],
    ['bin', 'logits-f32'],
    ['bin-sharded', 'logits-f32'],
    ['buffers', 'logits-f32'],
  ] as const) {
    it(`a folder: ${name}`, async () => {
      const expected = await expectedFromPyTorch();
      const logits = await gpt2Logits(await loadParameters(folder(name)), expected.ids);
      assertClose(logits, expected[reference], 1e-4);
    });
  }

  for (const name of ['small_ft.pkl', 'small_ft.zip.pkl', 'module.pkl', 'transformer-only.pkl']) {
    it(`the original project's file: ${name}`, async () => {
      const expected = await expectedFromPyTorch();
      const logits = await gpt2Logits(await loadParameters(folder(name)), expected.ids);
      assertClose(logits, expected['logits-f16'], 1e-4);
    });
  }

  it('the scores of a ranking model: updown.pth', async () => {
    const expected = await expectedFromPyTorch();
    const { parameters, score } = await loadRankerWeights(folder('updown.pth'));
    assert.equal(score.length, 16);
    assert.deepEqual([at(score, 0), at(score, 15)], [-1, 1]);
    await assert.rejects(loadParameters(folder('updown.pth')), /This is a ranking model/);
    await assert.rejects(loadRankerWeights(folder('bin')), /This is a language model/);
    const scores = await gpt2Logits(parameters, expected.ids, score);
    // transformers takes the score at the last token of each row.
    const length = at(expected.ids, 0).length;
    const last = scores.filter((_, place) => place % length === length - 1);
    assertClose(last, expected.scores, 1e-4);
  });
});

describe('finding a model', () => {
  it('takes a single file, with the config.json beside it', async () => {
    const expected = await expectedFromPyTorch();
    for (const file of [
      'bin/pytorch_model.bin',
      'safetensors-sharded/model.safetensors.index.json',
    ]) {
      const logits = await gpt2Logits(await loadParameters(folder(file)), expected.ids);
      assertClose(logits, expected['logits-f32'], 1e-4);
    }
  });

  it('takes the only .pkl of a folder', async (context) => {
    const copy = await temporaryFolder(context);
    await copyFile(folder('bin/config.json'), join(copy, 'config.json'));
    await copyFile(folder('small_ft.pkl'), join(copy, 'medium_ft.pkl'));
    assert.equal((await loadParameters(copy)).buffer.length, 7824);
  });

  it('reads the configuration off the shapes where there is no config.json', async (context) => {
    const path = join(await temporaryFolder(context), 'model');
    const config = gpt2Config({
      vocab_size: 300,
      n_positions: 9,
      n_embd: 128,
      n_layer: 3,
      n_head: 2,
    });
    const parameters = Parameters.initialize(config, new Random(1));
    await saveCheckpoint(path, { parameters, tokenizer });
    const bare = join(path, '..', 'bare.safetensors');
    await copyFile(join(path, 'model.safetensors'), bare);
    assert.deepEqual(await readConfig(bare), config);
    await copyFile(folder('small_ft.pkl'), `${bare}.pkl`);
    await assert.rejects(readConfig(`${bare}.pkl`), /put the model's config\.json/);
  });

  it('says what is wrong with a folder, an index or a missing file', async (context) => {
    const copy = await temporaryFolder(context);
    await assert.rejects(openWeights(copy), /holds no weights/);
    await assert.rejects(openWeights(join(copy, 'absent')), /no such file/);
    const index = join(copy, 'model.safetensors.index.json');
    await writeFile(index, '{"weight_map":{"a":"b.safetensors"}}');
    await assert.rejects(openWeights(copy), /b\.safetensors: no such file/);
    await writeFile(index, '{"weight_map":{"a":"../b.safetensors"}}');
    await assert.rejects(openWeights(copy), /outside the folder/);
    await writeFile(index, '{}');
    await assert.rejects(openWeights(copy), /weight_map/);
    await mkdir(join(copy, 'half'));
    const shards = folder('safetensors-sharded');
    await copyFile(
      join(shards, 'model-00001-of-00003.safetensors'),
      join(copy, 'model-00001-of-00003.safetensors'),
    );
    await copyFile(join(shards, 'model.safetensors.index.json'), index);
    await assert.rejects(openWeights(copy), /model-0000[23]-of-00003\.safetensors: no such file/);
  });
});

describe('saving a model', () => {
  it('keeps every byte of every tensor', async (context) => {
    const path = join(await temporaryFolder(context), 'saved');
    const parameters = await loadParameters(folder('safetensors-f32'));
    await saveCheckpoint(path, { parameters, tokenizer });
    assert.deepEqual(
      await readFile(join(path, 'model.safetensors')),
      await readFile(join(folder('safetensors-f32'), 'model.safetensors')),
    );
    const again = await loadCheckpoint(path);
    assert.deepEqual(again.parameters.buffer, parameters.buffer);
    assert.deepEqual(again.tokenizer.vocabulary, tokenizer.vocabulary);
  });

  it('saves a ranking model and loads it again', async (context) => {
    const path = join(await temporaryFolder(context), 'ranker');
    const ranker = await loadRankerWeights(folder('updown.pth'));
    await saveCheckpoint(path, { ...ranker, tokenizer });
    const again = await loadRanker(path);
    assert.deepEqual(again.score, ranker.score);
    assert.deepEqual(again.parameters.buffer, ranker.parameters.buffer);
  });

  it('refuses a tokenizer with more tokens than the model', async () => {
    await assert.rejects(loadCheckpoint(folder('bin')), /50257 tokens, but the model only 61/);
  });
});
