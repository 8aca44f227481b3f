import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import {
  type GraphWeights,
  int8File,
  loadCheckpoint,
  loadParameters,
  openGraphWeights,
  saveCheckpoint,
  saveInt8Checkpoint,
} from '../../src/checkpoint/index.js';
import { Decoder } from '../../src/decoding/index.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { Tokenizer } from '../../src/tokenizer/index.js';
import { golden, temporaryFolder } from '../support/files.js';

const config = gpt2Config({
  vocab_size: 61,
  n_positions: 80,
  n_embd: 32,
  n_layer: 2,
  n_head: 4,
  initializer_range: 0.15,
});
const tokenizer = new Tokenizer({ tokens: [[97], [98], [97, 98]] });

function model(seed: number): Parameters {
  const parameters = Parameters.initialize(config, new Random(seed));
  // Biases and norms that differ show what is taken for what.
  const random = new Random(seed + 100);
  for (const parameter of parameters.layout) {
    if (parameter.shape.length > 1) continue;
    const values = parameters.view(parameter);
    for (const index of values.keys()) values[index] = (values[index] ?? 0) + 0.1 * random.normal();
  }
  return parameters;
}

async function savedModel(context: TestContext, seed = 1): Promise<string> {
  const folder = await temporaryFolder(context);
  await saveCheckpoint(folder, { parameters: model(seed), tokenizer });
  return folder;
}

async function logitsOf(source: Parameters | string, dtype: 'fp32' | 'int8'): Promise<number[][]> {
  const weights = typeof source === 'string' ? await openGraphWeights(source, dtype) : source;
  await using decoder = await Decoder.create(weights, { threads: 1 });
  const rows: number[][] = [];
  for (const start of range(0, 8)) {
    const ids = range(0, 12).map((place) => (start * 17 + place * 5) % 60);
    rows.push([...(await decoder.logits(ids))]);
  }
  return rows;
}

/** The root of the mean square of the difference, relative to the spread of what is expected. */
function relativeError(actual: readonly number[][], expected: readonly number[][]): number {
  const [found, wanted] = [actual.flat(), expected.flat()];
  const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
  const square = (values: number[]) => values.reduce((sum, value) => sum + value * value, 0);
  const errors = found.map((value, index) => value - (wanted[index] ?? NaN));
  return Math.sqrt(square(errors) / square(wanted.map((value) => value - mean)));
}

const sizeAndTime = async (file: string) => {
  const { size, mtimeMs, ino } = await stat(file);
  return { size, mtimeMs, ino };
};

describe('weights that a graph reads from their file', () => {
  it('give the same bits as weights in memory', async (context) => {
    const folder = await savedModel(context);
    assert.deepEqual(await logitsOf(folder, 'fp32'), await logitsOf(model(1), 'fp32'));
  });

  it('are converted where they are halves', async (context) => {
    const folder = await temporaryFolder(context);
    await saveCheckpoint(folder, { parameters: model(1), tokenizer }, 'F16');
    const halves = await loadParameters(folder);
    assert.deepEqual(await logitsOf(folder, 'fp32'), await logitsOf(halves, 'fp32'));
  });
});

describe('weights of 16 bits', () => {
  for (const name of ['safetensors-f16', 'safetensors-bf16', 'safetensors-sharded', 'bin']) {
    it(`are widened to what they are in memory: ${name}`, async () => {
      const folder = golden('checkpoint', name);
      const logits = async (weights: Parameters | GraphWeights) => {
        await using decoder = await Decoder.create(weights, { threads: 1 });
        return (await decoder.logits([1, 5, 2, 9])).slice();
      };
      const found = await logits(await openGraphWeights(folder, 'fp32'));
      assert.deepEqual(found, await logits(await loadParameters(folder)));
    });
  }
});

describe('8-bit weights', () => {
  it('score within 3 % of 32-bit ones', async (context) => {
    const folder = await savedModel(context);
    const error = relativeError(await logitsOf(folder, 'int8'), await logitsOf(folder, 'fp32'));
    assert.ok(error > 0 && error < 0.03, `${error}`);
  });

  it('are made once, and anew when the model has changed', async (context) => {
    const folder = await savedModel(context);
    const file = await int8File(folder);
    assert.equal(file, join(folder, 'model.int8.safetensors'));
    const first = await sizeAndTime(file);
    assert.equal(await int8File(folder), file);
    assert.deepEqual(await sizeAndTime(file), first);

    // A new time with the same content is no change.
    await utimes(join(folder, 'model.safetensors'), 1, 1);
    await int8File(folder);
    assert.deepEqual(await sizeAndTime(file), first);

    const before = await readFile(file);
    await saveCheckpoint(folder, { parameters: model(2), tokenizer });
    await int8File(folder);
    assert.notDeepEqual(await readFile(file), before);
    const error = relativeError(await logitsOf(folder, 'int8'), await logitsOf(model(2), 'fp32'));
    assert.ok(error < 0.03, `${error}`);
  });

  it('are made anew where the file is damaged, by two at once, and leave nothing behind', async (context) => {
    const folder = await savedModel(context);
    const file = await int8File(folder);
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, 100));
    await Promise.all([int8File(folder), int8File(folder)]);
    assert.deepEqual(await readFile(file), whole);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.includes('partial')),
      [],
    );
  });

  it('as a checkpoint take a quarter, load as numbers and decode as they are', async (context) => {
    const folder = await savedModel(context);
    const small = await temporaryFolder(context);
    await saveInt8Checkpoint(small, folder);
    const { parameters } = await loadCheckpoint(small);
    for (const parameter of model(1).layout) {
      const [expected, actual] = [model(1).view(parameter), parameters.view(parameter)];
      const most = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      for (const [index, value] of expected.entries()) {
        assert.ok(Math.abs(value - (actual[index] ?? NaN)) <= most / 254 + 1e-6, parameter.name);
      }
    }
    assert.deepEqual(await logitsOf(small, 'int8'), await logitsOf(folder, 'int8'));
    assert.ok(!(await readdir(small)).includes('model.int8.safetensors'));
    assert.deepEqual(await logitsOf(small, 'fp32'), await logitsOf(parameters, 'fp32'));
  });

  it('without their scales are refused', async (context) => {
    const folder = await savedModel(context);
    const small = await temporaryFolder(context);
    await saveInt8Checkpoint(small, folder);
    const file = join(small, 'model.safetensors');
    const bytes = await readFile(file);
    const renamed = bytes.toString('latin1').replace('c_fc.weight_scale', 'c_fc.weight_xcale');
    await writeFile(file, Buffer.from(renamed, 'latin1'));
    await copyFile(join(folder, 'config.json'), join(small, 'config.json'));
    await assert.rejects(loadCheckpoint(small), { name: 'UserError' });
  });
});
