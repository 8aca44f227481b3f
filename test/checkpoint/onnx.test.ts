import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { InferenceSession } from 'onnxruntime-node';
import { z } from 'zod';
import { at } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { saveOnnx } from '../../src/checkpoint/onnx-folder.js';
import { loadParameters, loadRankerWeights } from '../../src/checkpoint/parameters.js';
import { Scorer } from '../../src/decoding/index.js';
import { type Gpt2Config, gpt2Config, Parameters } from '../../src/model/index.js';
import { float32, floatsOf, HostTensor, int64 } from '../../src/runtime/index.js';
import { Tokenizer } from '../../src/tokenizer/index.js';
import { expectedFromPyTorch } from '../support/checkpoints.js';
import { golden, repository, temporaryFolder } from '../support/files.js';
import { gpt2Logits } from '../support/logits.js';

const tokenizer = new Tokenizer({ tokens: [[97], [98], [97, 98]] });

/** An exported decoder, run as transformers.js runs it. */
class Decoder {
  readonly #session: InferenceSession;
  readonly #config: Gpt2Config;
  #past: Record<string, HostTensor>;

  constructor(session: InferenceSession, config: Gpt2Config, batch: number) {
    this.#session = session;
    this.#config = config;
    const shape = [batch, config.n_head, 0, config.n_embd / config.n_head];
    const names = session.inputNames.filter((name) => name.startsWith('past_key_values.'));
    this.#past = Object.fromEntries(
      names.map((name) => [name, float32(new Float32Array(), shape)]),
    );
  }

  /** The logits of new tokens. The mask is over all tokens so far, 0 at padding on the left. */
  async step(ids: number[][], mask: number[][]): Promise<Float32Array> {
    const positions = mask.map((row, place) => {
      let seen = 0;
      const all = row.map((present) => (present === 0 ? 0 : seen++));
      return all.slice(-at(ids, place).length);
    });
    const tensor = (rows: number[][]): HostTensor =>
      int64(rows.flat(), [rows.length, at(rows, 0).length]);
    const results = await this.#session.run({
      input_ids: tensor(ids),
      attention_mask: tensor(mask),
      position_ids: tensor(positions),
      ...this.#past,
    });
    const { logits } = results;
    this.#past = Object.fromEntries(
      Object.entries(results)
        .filter(([name]) => name !== 'logits')
        .map(([name, present]) => [name.replace('present.', 'past_key_values.'), present]),
    );
    assert.equal(Object.keys(this.#past).length, this.#config.n_layer * 2);
    return floatsOf(logits);
  }
}

/** The largest difference, as a share of the largest expected magnitude. */
function relativeDifference(actual: Float32Array, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let [largest, difference] = [0, 0];
  for (let index = 0; index < actual.length; index++) {
    const value = expected[index] ?? NaN;
    largest = Math.max(largest, Math.abs(value));
    difference = Math.max(difference, Math.abs(at(actual, index) - value));
  }
  return difference / largest;
}

const peers = join(repository, 'bench');
const peerIsThere = existsSync(join(peers, 'node_modules', '@huggingface', 'transformers'));

/** What transformers.js computes from an exported model. */
async function logitsOfPeer(
  folder: string,
  dtype: string,
  ids: number[][],
): Promise<{ readonly whole: number[]; readonly last: number[] }> {
  const script = join(peers, 'logits-transformers-js.mjs');
  const child = spawn(process.execPath, [script, folder, dtype]);
  child.stderr.pipe(process.stderr);
  child.stdin.end(JSON.stringify(ids));
  const schema = z.object({ whole: z.array(z.number()), last: z.array(z.number()) });
  return schema.parse(JSON.parse(await text(child.stdout)));
}

describe('ONNX with past keys and values', () => {
  for (const [precision, source, file, tolerance] of [
    ['fp32', 'f32', 'model.onnx', 1e-4],
    ['fp16', 'f16', 'model_fp16.onnx', 1e-4],
    ['int8', 'f32', 'model_quantized.onnx', 0.05],
  ] as const) {
    it(`gives PyTorch's logits in ${precision}, at once and in steps`, async (context) => {
      const folder = await temporaryFolder(context);
      const parameters = await loadParameters(golden('checkpoint', `safetensors-${source}`));
      const { config } = parameters;
      await saveOnnx(folder, { parameters, tokenizer }, precision);
      const session = await InferenceSession.create(join(folder, 'onnx', file));
      const { ids, [`logits-${source}` as const]: expected } = await expectedFromPyTorch();

      const ones = (length: number): number[][] => ids.map(() => Array<number>(length).fill(1));
      const whole = await new Decoder(session, config, 2).step(ids, ones(8));
      assert.ok(relativeDifference(whole, expected) < tolerance);

      const stepwise = new Decoder(session, config, 2);
      await stepwise.step(
        ids.map((row) => row.slice(0, 5)),
        ones(5),
      );
      for (let place = 5; place < 8; place++) {
        const logits = await stepwise.step(
          ids.map((row) => [at(row, place)]),
          ones(place + 1),
        );
        const vocabulary = config.vocab_size;
        const last = ids.flatMap((_, row) => {
          const start = (row * 8 + place) * vocabulary;
          return expected.slice(start, start + vocabulary);
        });
        assert.ok(relativeDifference(logits, last) < tolerance);
      }
      await session.release();
    });
  }

  it(
    'runs in transformers.js, at once and in steps',
    { skip: !peerIsThere && 'needs the packages of bench/package.json' },
    async (context) => {
      const folder = join(await temporaryFolder(context), 'model');
      const expected = await expectedFromPyTorch();
      for (const [precision, dtype, source, tolerance] of [
        ['fp32', 'fp32', 'f32', 1e-4],
        ['fp16', 'fp16', 'f16', 1e-4],
        ['int8', 'q8', 'f32', 0.05],
      ] as const) {
        const parameters = await loadParameters(golden('checkpoint', `safetensors-${source}`));
        await saveOnnx(folder, { parameters, tokenizer }, precision);
        const { whole, last } = await logitsOfPeer(folder, dtype, expected.ids);
        const reference = expected[`logits-${source}`];
        assert.ok(relativeDifference(Float32Array.from(whole), reference) < tolerance, precision);
        const half = reference.length / 2;
        const vocabulary = parameters.config.vocab_size;
        const ends = [half, 2 * half].flatMap((end) => reference.slice(end - vocabulary, end));
        assert.ok(relativeDifference(Float32Array.from(last), ends) < tolerance, precision);
      }
    },
  );

  it('leaves out padding on the left', async (context) => {
    const folder = await temporaryFolder(context);
    const parameters = await loadParameters(golden('checkpoint', 'safetensors-f32'));
    await saveOnnx(folder, { parameters, tokenizer }, 'fp32');
    const session = await InferenceSession.create(join(folder, 'onnx', 'model.onnx'));
    const decoder = new Decoder(session, parameters.config, 2);
    const padded = [
      [0, 0, 0, 3, 1, 4],
      [9, 2, 6, 5, 3, 5],
    ];
    const logits = await decoder.step(
      padded,
      padded.map((row, index) => row.map((_, place) => (index === 0 && place < 3 ? 0 : 1))),
    );
    const alone = await gpt2Logits(parameters, [[3, 1, 4]]);
    const vocabulary = parameters.config.vocab_size;
    assert.ok(relativeDifference(logits.slice(3 * vocabulary, 6 * vocabulary), alone) < 1e-5);
    await session.release();
  });

  it("gives a ranking model's scores, with padding at either side", async (context) => {
    const folder = await temporaryFolder(context);
    const checkpoint = {
      ...(await loadRankerWeights(golden('checkpoint', 'updown.pth'))),
      tokenizer,
    };
    const { ids, scores } = await expectedFromPyTorch();
    const longest = at(ids, 0).length;
    const rows = [
      ...ids,
      ...ids.map((row) => row.slice(0, 5)),
      ...ids.map((row) => row.slice(0, 5)),
    ];
    const padding = [9, 9, 9].slice(0, longest - 5);
    const fed = rows.map((row, place) =>
      row.length === longest ? row : place < 4 ? [...row, ...padding] : [...padding, ...row],
    );
    const mask = rows.map((row, place) => {
      const [present, absent] = [row.map(() => 1), Array<number>(longest - row.length).fill(0)];
      return place < 4 ? [...present, ...absent] : [...absent, ...present];
    });
    await using ranker = await Scorer.create(checkpoint.parameters, 'states');
    const states = await ranker.lastStates(rows.map((row) => ({ ids: row })));
    const own = states.map((state) =>
      state.reduce((total, value, index) => total + value * at(checkpoint.score, index), 0),
    );
    for (const [precision, file, tolerance] of [
      ['fp32', 'model.onnx', 1e-4],
      ['fp16', 'model_fp16.onnx', 1e-2],
      ['int8', 'model_quantized.onnx', 0.1],
    ] as const) {
      await saveOnnx(folder, checkpoint, precision);
      const session = await InferenceSession.create(join(folder, 'onnx', file));
      const shape = [rows.length, longest];
      const { logits } = await session.run({
        input_ids: int64(fed.flat(), shape),
        attention_mask: int64(mask.flat(), shape),
      });
      assert.deepEqual(logits?.dims, [rows.length, 1]);
      assert.ok(relativeDifference(floatsOf(logits), own) < tolerance, precision);
      if (precision === 'fp32') {
        assert.ok(relativeDifference(floatsOf(logits).slice(0, 2), scores) < 1e-4);
      }
      await session.release();
    }
    const config: unknown = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    z.object({ architectures: z.tuple([z.literal('GPT2ForSequenceClassification')]) }).parse(
      config,
    );
  });

  it('keeps int8 close for weights as GPT-2 has them', async (context) => {
    const folder = await temporaryFolder(context);
    const size = { vocab_size: 300, n_positions: 32, n_embd: 128, n_layer: 4, n_head: 4 };
    const config = gpt2Config({ ...size, initializer_range: 0.1 });
    const parameters = Parameters.initialize(config, new Random(7));
    await saveOnnx(folder, { parameters, tokenizer }, 'int8');
    const session = await InferenceSession.create(join(folder, 'onnx', 'model_quantized.onnx'));
    const random = new Random(8);
    const ids = [Array.from({ length: 20 }, () => random.below(300))];
    const logits = await new Decoder(session, config, 1).step(ids, [Array<number>(20).fill(1)]);
    assert.ok(relativeDifference(logits, await gpt2Logits(parameters, ids)) < 0.05);
    await session.release();
  });

  it('writes the files that transformers.js looks for', async (context) => {
    const folder = await temporaryFolder(context);
    const parameters = await loadParameters(golden('checkpoint', 'safetensors-f32'));
    for (const precision of ['fp32', 'int8'] as const) {
      await saveOnnx(folder, { parameters, tokenizer }, precision);
    }
    const json = async (name: string): Promise<unknown> =>
      JSON.parse(await readFile(join(folder, name), 'utf8'));
    const config = z
      .looseObject({ model_type: z.literal('gpt2') })
      .parse(await json('config.json'));
    assert.deepEqual(config['transformers.js_config'], { use_external_data_format: true });
    const schema = z.object({
      model: z.object({ vocab: z.record(z.string(), z.number()), merges: z.array(z.string()) }),
    });
    const { model } = schema.parse(await json('tokenizer.json'));
    assert.deepEqual(model.vocab, { a: 0, b: 1, ab: 2, '<|endoftext|>': 3 });
    assert.deepEqual(model.merges, ['a b']);
    for (const name of ['model.onnx', 'model.onnx_data', 'model_quantized.onnx_data']) {
      assert.ok((await readFile(join(folder, 'onnx', name))).length > 0);
    }
  });
});
