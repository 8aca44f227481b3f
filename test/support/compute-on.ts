// Run as a program: computes a model's losses, gradients and greedy replies on the device that its
// argument names, and prints them as JSON.
import { at, range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { Decoder } from '../../src/decoding/decoder.js';
import { generateTokens } from '../../src/decoding/generate.js';
import { toExample } from '../../src/dataset/index.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { DEVICES } from '../../src/runtime/index.js';
import { makeBatch } from '../../src/training/batch.js';
import { LossModel } from '../../src/training/loss-model.js';

const END_OF_TEXT = 299;

function model(): Parameters {
  const config = gpt2Config({
    n_layer: 1,
    n_embd: 32,
    n_head: 2,
    n_positions: 160,
    vocab_size: END_OF_TEXT + 1,
    initializer_range: 0.3,
    // Dropout would draw other numbers on each device.
    embd_pdrop: 0,
    attn_pdrop: 0,
    resid_pdrop: 0,
  });
  return Parameters.initialize(config, new Random(1));
}

/** Some tokens that are not the end of text. */
function tokens(length: number, start: number): number[] {
  return range(0, length).map((index) => (start + 37 * index) % END_OF_TEXT);
}

const examples = [3, 40].map((length) => {
  const turns = [tokens(length, 5), tokens(length + 4, 8), tokens(2, 11)];
  const example = toExample({ turns, weights: [1, 1, 1] }, END_OF_TEXT);
  if (example === undefined) throw new Error('The example has no label.');
  return example;
});
const batch = makeBatch(examples, true);

const device = at(
  DEVICES,
  DEVICES.findIndex((name) => name === process.argv[2]),
);

async function backward(): Promise<{ losses: number[]; gradients: number[] }> {
  const parameters = model();
  const gradients = new Parameters(parameters.config);
  await using lossModel = await LossModel.forTraining(parameters, { device, tokenTypes: true });
  const losses = await lossModel.backward(batch, 1 / batch.labels.length, gradients);
  return { losses: [...losses], gradients: [...gradients.buffer] };
}

/** Continuations of a conversation that grows past the cache's first size, and of others. */
async function decode(): Promise<{ replies: number[][]; logits: number[] }> {
  await using decoder = await Decoder.create(model(), { device });
  const replies: number[][] = [];
  for (const prompt of [tokens(5, 1), tokens(90, 1)]) {
    const options = { doSample: false, maxNewTokens: 4 };
    const reply: number[] = [];
    for await (const token of generateTokens(decoder, END_OF_TEXT, prompt, options)) {
      reply.push(token);
    }
    replies.push(reply);
  }
  return { replies, logits: [...(await decoder.logits(tokens(5, 3)))] };
}

process.stdout.write(JSON.stringify({ ...(await backward()), ...(await decode()) }));
