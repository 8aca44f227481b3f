import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at, range, sum } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import {
  convertModel,
  describeModel,
  freshCheckpoint,
  loadAdapterCheckpoint,
  loadCheckpoint,
  loadParameters,
  mergeAdapter,
  saveCheckpoint,
} from '../../src/checkpoint/index.js';
import { describeAdapter, loadAdapter } from '../../src/checkpoint/adapter.js';
import {
  gpt2Config,
  headSlices,
  LoraAdapter,
  type LoraOptions,
  ParameterBuffer,
  Parameters,
} from '../../src/model/index.js';
import { gpt2Tokenizer, Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { LossModel, makeBatch } from '../../src/training/index.js';
import { golden, temporaryFolder } from '../support/files.js';
import { goldenJson, goldenModel } from '../support/golden.js';
import { gpt2Logits } from '../support/logits.js';
import { assertClose } from '../support/numbers.js';

const numbers = z.array(z.number());
const goldenAdapter = z.object({
  logits: numbers,
  loss: z.number(),
  gradients: z.record(z.string(), numbers),
});
const goldenSchema = z.object({
  ids: z.array(numbers),
  c_attn: goldenAdapter,
  'all-rslora': goldenAdapter,
});
const options: LoraOptions = {
  rank: 4,
  alpha: 8,
  dropout: 0,
  targetModules: ['c_attn', 'mlp.c_proj'],
};

/** Rows whose every token is to be followed by the next one. */
function nextTokenBatch(rows: readonly (readonly number[])[]) {
  return makeBatch(
    rows.map((row) => ({
      inputIds: Int32Array.from(row.slice(0, -1)),
      labels: Int32Array.from(row.slice(1)),
      tokenTypeIds: new Int32Array(row.length - 1),
      weights: new Float32Array(row.length - 1).fill(1),
    })),
  );
}

for (const name of ['c_attn', 'all-rslora'] as const) {
  describe(`an adapter that PEFT made, ${name}`, () => {
    it("gives PEFT's logits when it is merged", async () => {
      const expected = await goldenJson(goldenSchema, 'lora', 'expected.json');
      const parameters = await loadParameters(golden('lora', name));
      const logits = await gpt2Logits(parameters, expected.ids);
      const width = parameters.config.vocab_size;
      const last = expected.ids.flatMap((row, index) => {
        const end = (index + 1) * row.length * width;
        return [...logits.subarray(end - width, end)];
      });
      assertClose(last, expected[name].logits, 1e-5);
    });

    it("gives PEFT's losses and gradients when it is trained", async () => {
      const expected = await goldenJson(goldenSchema, 'lora', 'expected.json');
      const parameters = await goldenModel('tiny');
      const description = await describeAdapter(golden('lora', name));
      const read = await loadAdapter(description, parameters.config);
      const adapter = Object.assign(read, { options: { ...read.options, dropout: 0 } });
      await using model = await LossModel.forTraining(parameters, { adapter, threads: 1 });
      const gradients = new ParameterBuffer(adapter.layout);
      const losses = await model.backward(nextTokenBatch(expected.ids), 1, gradients);
      assertClose([losses.reduce((sum, loss) => sum + loss, 0)], [expected[name].loss], 1e-6);
      const found = Object.entries(expected[name].gradients);
      assert.equal(found.length, adapter.layout.length);
      for (const parameter of adapter.layout) {
        const reference = expected[name].gradients[`base_model.model.${parameter.name}`] ?? [];
        assertClose(gradients.view(parameter), reference, 1e-5, parameter.name);
      }
    });
  });
}

describe('LoraAdapter', () => {
  it('changes nothing when it is fresh, and computes what it does when merged', async () => {
    const parameters = await goldenModel('tiny');
    const random = new Random(3);
    const adapter = LoraAdapter.initialize(parameters.config, options, 'base', random);
    const rows = [range(0, 12).map(() => random.below(200))];
    const batch = nextTokenBatch(rows);
    await using plain = await LossModel.forEvaluation(parameters, { threads: 1 });
    await using adapted = await LossModel.forEvaluation(parameters, { adapter, threads: 1 });
    const before = await plain.losses(batch);
    assert.deepEqual(await adapted.losses(batch), before);
    for (const { b } of adapter.pairs) {
      const values = adapter.view(b);
      for (let index = 0; index < values.length; index++) values[index] = random.normal();
    }
    const changed = await adapted.losses(batch);
    assert.notDeepEqual(changed, before);
    const merged = mergeAdapter({ parameters, tokenizer: gpt2Tokenizer(), adapter });
    await using whole = await LossModel.forEvaluation(merged.parameters, { threads: 1 });
    assertClose(await whole.losses(batch), changed, 1e-5);
  });

  it("has the weight's gradient times A as B's, also where the head is cut into slices", async () => {
    const config = gpt2Config({
      ...{ vocab_size: 5000, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 1 },
      ...{ embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 },
    });
    assert.ok(headSlices(config).length > 1);
    const random = new Random(4);
    const parameters = Parameters.initialize(config, random);
    const only = { ...options, targetModules: ['c_attn'] };
    const adapter = LoraAdapter.initialize(config, only, 'base', random);
    const batch = nextTokenBatch([range(0, 12).map(() => random.below(5000))]);
    await using whole = await LossModel.forTraining(parameters, { threads: 1 });
    const expected = new Parameters(config);
    const losses = await whole.backward(batch, 1, expected);
    await using adapted = await LossModel.forTraining(parameters, { adapter, threads: 1 });
    const gradients = new ParameterBuffer(adapter.layout);
    assert.deepEqual(await adapted.backward(batch, 1, gradients), losses);
    const { a, b } = at(adapter.pairs, 0);
    const weight = expected.layout.find(({ name }) => name.endsWith('c_attn.weight'));
    assert.ok(weight !== undefined);
    const [rank = 0, width = 0] = a.shape;
    const [rows = 0] = b.shape;
    const ofWeight = expected.view(weight);
    const factor = adapter.view(a);
    const product = range(0, rows).flatMap((row) =>
      range(0, rank).map((column) =>
        sum(
          range(0, width).map(
            (index) => at(ofWeight, index * rows + row) * at(factor, column * width + index),
          ),
        ),
      ),
    );
    const scaled = product.map((value) => adapter.scale * value);
    assertClose(gradients.view(b), scaled, 1e-5);
  });

  it('asks the graph for gradients of the factors alone', async () => {
    const parameters = await goldenModel('tiny');
    const adapter = new LoraAdapter(parameters.config, options, 'base');
    assert.deepEqual(
      adapter.layout.slice(0, 2).map(({ name, shape }) => [name, shape]),
      [
        ['transformer.h.0.attn.c_attn.lora_A.weight', [4, 24]],
        ['transformer.h.0.attn.c_attn.lora_B.weight', [72, 4]],
      ],
    );
    assert.equal(adapter.buffer.length, 2 * 4 * (24 + 72 + 96 + 24));
    assert.equal(adapter.scale, 2);
  });
});

describe('a folder with an adapter', () => {
  it('is read back as it was written, merged by convert, and described', async (context) => {
    const folder = await temporaryFolder(context);
    const base = join(folder, 'base');
    const words = ['a cat and a dog', 'a dog and a cat'];
    const fresh = freshCheckpoint(
      new Tokenizer(trainVocabulary(words, 260)),
      { n_positions: 16, n_embd: 16, n_layer: 2, n_head: 2 },
      1,
    );
    await saveCheckpoint(base, fresh);
    const { config } = fresh.parameters;
    const more = { ...options, dropout: 0.25, rankStabilized: true };
    const adapter = LoraAdapter.initialize(config, more, base, new Random(4));
    const random = new Random(5);
    for (const { b } of adapter.pairs) {
      adapter.view(b).set(range(0, b.length).map(() => random.normal()));
    }
    const copy = join(folder, 'adapter');
    await saveCheckpoint(copy, { ...fresh, adapter });
    const again = await loadAdapterCheckpoint(copy);
    assert.deepEqual(again?.adapter.buffer, adapter.buffer);
    assert.deepEqual([again.adapter.options, again.adapter.base], [more, base]);
    assert.deepEqual(again.parameters.buffer, fresh.parameters.buffer);

    const merged = mergeAdapter({ ...fresh, adapter }).parameters.buffer;
    assert.notDeepEqual(merged, fresh.parameters.buffer);
    assert.deepEqual((await loadCheckpoint(copy)).parameters.buffer, merged);
    const whole = join(folder, 'whole');
    await convertModel(copy, whole, 'safetensors', 'fp32');
    assert.deepEqual((await loadParameters(whole)).buffer, merged);
    const { files, parameters } = await describeModel(copy);
    assert.equal(parameters, fresh.parameters.buffer.length);
    assert.equal(files.at(-1)?.path, join(copy, 'adapter_model.safetensors'));
  });

  it('is refused in one sentence where it is not for this model or of another kind', async (context) => {
    const folder = await temporaryFolder(context);
    const change = async (fields: object): Promise<string> => {
      const copy = join(folder, 'copy');
      await cp(golden('lora', 'c_attn'), copy, { recursive: true });
      const file = join(copy, 'adapter_config.json');
      const config = z.looseObject({}).parse(JSON.parse(await readFile(file, 'utf8')));
      const base = golden('gpt2', 'tiny');
      await writeFile(
        file,
        JSON.stringify({ ...config, base_model_name_or_path: base, ...fields }),
      );
      return copy;
    };
    const refusals: readonly (readonly [object, RegExp])[] = [
      [{ use_dora: true }, /use_dora/],
      [{ init_lora_weights: 'pissa' }, /init_lora_weights/],
      [{ rank_pattern: { c_attn: 2 } }, /rank_pattern/],
      [{ peft_type: 'IA3' }, /peft_type/],
      [{ modules_to_save: ['wte'] }, /modules_to_save/],
      [{ r: 5 }, /should have the shape 5 × 24, but has 4 × 24/],
      [{ base_model_name_or_path: null }, /does not say which model/],
      [{ base_model_name_or_path: golden('lora', 'c_attn') }, /itself an adapter/],
      [{ base_model_name_or_path: '/no/such/place' }, /no such file or folder/],
    ];
    for (const [fields, message] of refusals) {
      await assert.rejects(loadParameters(await change(fields)), message);
    }
  });
});
