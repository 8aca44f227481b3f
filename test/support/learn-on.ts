// Run as a program: trains a small model for some steps on the device that its first argument names,
// and prints what came of it as JSON. The second is the learner, `host` or `device`, the third its
// precision, `fp32` or `fp16`. A device's
// learner is made anew halfway, from the weights and moments collected of the first.
import { at, range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { ALONE, DEVICES } from '../../src/runtime/index.js';
import { gpt2Tokenizer } from '../../src/tokenizer/index.js';
import { DeviceLearner } from '../../src/training/device-learner.js';
import { HostLearner } from '../../src/training/host-learner.js';
import type { Learner } from '../../src/training/learner.js';
import { learnerBatch, stepOn } from './learning.js';

const [deviceName, where, precision = 'fp32'] = process.argv.slice(2);
const device = at(
  DEVICES,
  DEVICES.findIndex((name) => name === deviceName),
);
const common = { device, tokenTypes: true, seed: 3 };

const config = gpt2Config({
  n_layer: 1,
  n_embd: 36,
  n_head: 2,
  n_positions: 64,
  vocab_size: 301,
  initializer_range: 0.1,
});
const parameters = Parameters.initialize(config, new Random(1));

const losses: number[] = [];
const norms: number[] = [];

async function steps(learner: Learner, from: number, to: number): Promise<void> {
  for (const number of range(from, to)) {
    const report = await stepOn(learner, number);
    losses.push(...report.losses.flatMap((list) => [...list]));
    norms.push(report.gradientNorm);
  }
}

async function finish(learner: Learner): Promise<void> {
  const held = await learner.losses(learnerBatch(99));
  await learner.collectWeights();
  const { firstMoments, secondMoments } = await learner.collectMoments();
  process.stdout.write(
    JSON.stringify({
      losses,
      norms,
      held: [...held],
      firstMoments: [...firstMoments.buffer],
      secondMoments: [...secondMoments.buffer],
    }),
  );
}

if (where === 'host') {
  const checkpoint = { parameters, tokenizer: gpt2Tokenizer() };
  await using learner = await HostLearner.create(checkpoint, { ...common, processes: ALONE });
  await steps(learner, 0, 10);
  await finish(learner);
} else {
  const half = precision === 'fp16';
  const first = await DeviceLearner.create(parameters, { ...common, half });
  await steps(first, 0, 5);
  await first.collectWeights();
  const moments = await first.collectMoments();
  // While the first still holds the device, the second finds the shaders compiled.
  await using second = await DeviceLearner.create(parameters, { ...common, half, moments });
  await first[Symbol.asyncDispose]();
  await steps(second, 5, 10);
  await finish(second);
}
