import assert from 'node:assert/strict';
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { z } from 'zod';
import { exists, readJson } from '../../src/base/files.js';
import { Random } from '../../src/base/random.js';
import { convertModel } from '../../src/checkpoint/convert.js';
import { describeModel } from '../../src/checkpoint/describe.js';
import { loadCheckpoint, loadRanker, saveCheckpoint } from '../../src/checkpoint/folder.js';
import { openSafetensors } from '../../src/checkpoint/safetensors.js';
import { gpt2Config, parameterCount, Parameters } from '../../src/model/index.js';
import { Tokenizer } from '../../src/tokenizer/index.js';
import { valuesOf } from '../support/checkpoints.js';
import { golden, repository, temporaryFolder } from '../support/files.js';

const tokenizer = new Tokenizer({ tokens: [[97], [98], [97, 98]] });

/** A copy of a reference file in a folder with a tokenizer that fits it. */
async function withTokenizer(context: TestContext, file: string): Promise<string> {
  const folder = join(await temporaryFolder(context), 'model');
  const config = gpt2Config({ vocab_size: 61, n_positions: 16, n_embd: 16, n_layer: 2, n_head: 2 });
  await mkdir(folder);
  await saveCheckpoint(folder, { parameters: new Parameters(config), tokenizer });
  await copyFile(golden('checkpoint', file), join(folder, file));
  return join(folder, file);
}

describe('converting a model', () => {
  it("turns the original project's file into a folder for transformers", async (context) => {
    const file = await withTokenizer(context, 'small_ft.pkl');
    const out = join(await temporaryFolder(context), 'out');
    await convertModel(file, out, 'safetensors', 'fp16');
    const expected = await openSafetensors(
      golden('checkpoint', 'safetensors-f16', 'model.safetensors'),
    );
    const converted = await openSafetensors(join(out, 'model.safetensors'));
    assert.deepEqual([...converted.keys()].sort(), [...expected.keys()].sort());
    for (const [name, source] of converted) {
      const reference = expected.get(name);
      assert.ok(reference);
      assert.equal(source.dtype, 'F16');
      assert.deepEqual(await valuesOf(source), await valuesOf(reference));
    }
    assert.match(await readFile(join(out, 'config.json'), 'utf8'), /"dtype": "float16"/);
    await convertModel(out, join(out, 'again'), 'safetensors', 'fp32');
    assert.deepEqual(
      (await loadCheckpoint(join(out, 'again'))).parameters.buffer,
      (await loadCheckpoint(file)).parameters.buffer,
    );
  });

  it('keeps the head of a ranking model', async (context) => {
    const file = await withTokenizer(context, 'updown.pth');
    const out = join(await temporaryFolder(context), 'out');
    await convertModel(file, out, 'safetensors', 'fp32');
    assert.deepEqual((await loadRanker(out)).score, (await loadRanker(file)).score);
    const config = await readFile(join(out, 'config.json'), 'utf8');
    assert.match(config, /GPT2ForSequenceClassification/);
    await convertModel(file, out, 'onnx', 'fp32');
    assert.ok(await exists(join(out, 'onnx', 'model.onnx')));
  });

  it('writes 8-bit safetensors, close to what they were', async (context) => {
    const file = await withTokenizer(context, 'small_ft.pkl');
    const out = join(await temporaryFolder(context), 'out');
    await convertModel(file, out, 'safetensors', 'int8');
    assert.deepEqual((await describeModel(out)).dtypes, ['F32', 'U8']);
    const [before, after] = [await loadCheckpoint(file), await loadCheckpoint(out)];
    const most = before.parameters.buffer.reduce(
      (size, value) => Math.max(size, Math.abs(value)),
      0,
    );
    for (const [index, value] of before.parameters.buffer.entries()) {
      assert.ok(Math.abs(value - (after.parameters.buffer[index] ?? NaN)) <= most / 254 + 1e-6);
    }
  });
});

describe('what goes along when a model is converted', () => {
  const packaged = join(repository, 'models', 'small-talk-reverse');
  const read = async (folder: string, name: string): Promise<object> =>
    z.looseObject({}).parse(await readJson(join(folder, name)));

  for (const [format, precision] of [
    ['safetensors', 'fp32'],
    ['safetensors', 'fp16'],
    ['safetensors', 'int8'],
    ['onnx', 'int8'],
  ] as const) {
    it(`keeps how the model replies best, and says what it is: ${format}, ${precision}`, async (context) => {
      const from = join(await temporaryFolder(context), 'from');
      await cp(packaged, from, { recursive: true });
      const said = {
        eos_token_id: 8191,
        do_sample: true,
        temperature: 0.4,
        reverse_model: 'other',
      };
      await writeFile(join(from, 'generation_config.json'), JSON.stringify(said));
      const out = join(from, '..', 'out');
      await convertModel(from, out, format, precision);
      assert.deepEqual(await read(out, 'generation_config.json'), said);
      // What the packaged model says of its 8-bit weights is true of 8-bit safetensors only.
      const isInt8 = format === 'safetensors' && precision === 'int8';
      assert.equal('quantization' in (await read(out, 'config.json')), isInt8);
    });
  }

  it('names a generation_config.json that is damaged', async (context) => {
    const from = join(await temporaryFolder(context), 'from');
    await cp(packaged, from, { recursive: true });
    await writeFile(join(from, 'generation_config.json'), '[]');
    await assert.rejects(
      convertModel(from, join(from, '..', 'out'), 'safetensors', 'fp32'),
      /generation_config\.json: this is no JSON object/,
    );
  });
});

describe('describing a model', () => {
  it('tells what it is without reading its weights', async (context) => {
    const folder = await temporaryFolder(context);
    const size = { vocab_size: 4, n_positions: 8, n_embd: 6, n_layer: 3, n_head: 2 };
    const config = gpt2Config(size);
    const parameters = Parameters.initialize(config, new Random(1));
    await saveCheckpoint(folder, { parameters, tokenizer }, 'F16');
    const description = await describeModel(folder);
    assert.equal(description.parameters, parameterCount(config));
    assert.equal(description.isRanker, false);
    assert.deepEqual(description.dtypes, ['F16']);
    assert.deepEqual(description.memory, {
      weights: parameterCount(config) * 4,
      cache: 2 * 3 * 8 * 6 * 4,
      training: parameterCount(config) * 16,
    });
    const [file] = description.files;
    assert.equal(file?.bytes, (await readFile(join(folder, 'model.safetensors'))).length);
  });

  it('knows a ranking model', async () => {
    const description = await describeModel(golden('checkpoint', 'updown.pth'));
    assert.equal(description.isRanker, true);
    assert.equal(description.parameters, 7840);
  });
});
