// Run as a program: trains a small model for some steps on the device that its first argument names,
// and prints what came of it as JSON. The second is the learner, `host` or `device`, the third the
// precision.
import { at, range, sum } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { toExample } from '../../src/dataset/index.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { ALONE, DEVICES } from '../../src/runtime/index.js';
import { gpt2Tokenizer } from '../../src/tokenizer/index.js';
import { makeBatch } from '../../src/training/batch.js';
import { DeviceLearner } from '../../src/training/device-learner.js';
import { HostLearner } from '../../src/training/host-learner.js';
import type { Learner, UpdateReport } from '../../src/training/learner.js';

const END_OF_TEXT = 299;
const SEED = 3;

const [deviceName, where = 'device', precision = 'fp32', clipping = 'group'] =
  process.argv.slice(2);
const device = at(
  DEVICES,
  DEVICES.findIndex((name) => name === deviceName),
);
const adam = { clipping: clipping === 'tensor' ? 'tensor' : 'group' } as const;
const common = { device, tokenTypes: true, seed: SEED, adam };

function model(): Parameters {
  const config = gpt2Config({
    n_layer: 2,
    n_embd: 36,
    n_head: 2,
    n_positions: 64,
    vocab_size: END_OF_TEXT + 1,
    initializer_range: 0.1,
  });
  return Parameters.initialize(config, new Random(1));
}

/** Batches of different shapes, in which some tokens occur often. */
function batch(number: number) {
  const examples = [3, 9 + (number % 3)].map((length) => {
    const turns = [4 + (number % 4), length, 3].map((count, turn) =>
      range(0, count).map((index) => (number * 31 + (index % 5) * (turn + 1)) % END_OF_TEXT),
    );
    const example = toExample({ turns, weights: [1, 1, 1] }, END_OF_TEXT);
    if (example === undefined) throw new Error('The example has no label.');
    return example;
  });
  return makeBatch(examples, true);
}

/** A step on two batches. */
async function step(learner: Learner, number: number): Promise<UpdateReport> {
  const batches = [batch(2 * number), batch(2 * number + 1)];
  const labels = sum(batches.map((one) => one.labels.length));
  for (const [index, one] of batches.entries()) {
    await learner.backward(one, 1 / labels, 2 * number + index);
  }
  return learner.update(2e-3);
}

const parameters = model();
await using learner: Learner =
  where === 'host'
    ? await HostLearner.create(
        { parameters, tokenizer: gpt2Tokenizer() },
        { ...common, processes: ALONE },
      )
    : await DeviceLearner.create(parameters, { ...common, half: precision === 'fp16' });
const reports: UpdateReport[] = [];
for (const number of range(0, 10)) reports.push(await step(learner, number));
const held = await learner.losses(batch(99));
await learner.collectWeights();
const { firstMoments, secondMoments } = await learner.collectMoments();

process.stdout.write(
  JSON.stringify({
    losses: reports.map(({ losses }) => losses.flatMap((list) => [...list])),
    norms: reports.map(({ gradientNorm }) => gradientNorm),
    held: [...held],
    weights: [...parameters.buffer],
    firstMoments: [...firstMoments.buffer],
    secondMoments: [...secondMoments.buffer],
  }),
);
