import { parseArgs } from 'node:util';
import { messageOf } from '../src/base/errors.js';
import { at, range } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';
import { type Example, IGNORED_LABEL } from '../src/dataset/index.js';
import { gpt2Config, type Gpt2Config, Parameters, PUBLISHED_SIZES } from '../src/model/index.js';
import { ALONE, DEVICES } from '../src/runtime/index.js';
import { gpt2Tokenizer } from '../src/tokenizer/index.js';
import {
  type Batch,
  type BatchRounding,
  DeviceLearner,
  HostLearner,
  type Learner,
  makeBatch,
} from '../src/training/index.js';
import { type Benchmark, formatTable, median } from './benchmark.js';

/** The models that are trained, and how many tokens the comparison with the CPU takes. */
const MODELS: ReadonlyMap<string, { readonly config: Gpt2Config; readonly checked: number }> =
  new Map([
    [
      'tiny',
      { config: gpt2Config({ n_layer: 2, n_embd: 64, n_head: 2, vocab_size: 1024 }), checked: 256 },
    ],
    [
      '11M',
      {
        config: gpt2Config({ n_layer: 6, n_embd: 320, n_head: 5, vocab_size: 8192 }),
        checked: 1024,
      },
    ],
    ['small', { config: gpt2Config(PUBLISHED_SIZES.small), checked: 256 }],
    ['medium', { config: gpt2Config(PUBLISHED_SIZES.medium), checked: 128 }],
  ]);

const LENGTH = 128;

/**
 * Training steps on a GPU whose weights stay there, in fp32 and in mixed precision: tokens a second,
 * where the time of a step goes, and how far the first losses are from the CPU's.
 */
export const trainGpuBenchmark: Benchmark = {
  description:
    'GPT-2 trained on a GPU, fp32 and fp16 [--models 11M,small] [--tokens 4096] [--steps 20] [--precisions fp32,fp16] [--device webgpu] [--no-check]',
  run: async (print) => {
    const options = readOptions();
    const rows = [
      [
        'model',
        'precision',
        'tokens',
        'ms/step',
        'tokens/s',
        'queueing',
        'waiting',
        'from the CPU',
      ],
    ];
    const figures: Record<string, unknown>[] = [];
    for (const name of options.models) {
      const { config, checked } = model(name);
      const expected = options.check ? await cpuLosses(config, checked) : undefined;
      for (const precision of options.precisions) {
        try {
          const half = precision === 'fp16';
          const difference = expected && (await compare(config, checked, half, expected, options));
          const measured = await measure(config, half, options);
          figures.push({ model: name, precision, ...measured, difference: difference ?? null });
          rows.push([
            name,
            precision,
            String(options.tokens),
            measured.milliseconds.toFixed(1),
            measured.tokensPerSecond.toFixed(0),
            measured.queueing.toFixed(1),
            measured.waiting.toFixed(1),
            difference === undefined ? '' : difference.toExponential(1),
          ]);
        } catch (error) {
          print(`${name} in ${precision}: ${messageOf(error)}`);
        }
      }
    }
    print(formatTable(rows));
    print(
      'queueing: milliseconds until all of a step is handed to the GPU; waiting: until its losses are there. From the CPU: the largest relative difference of the losses of four steps.',
    );
    return { benchmark: 'train-gpu', runs: figures };
  },
};

function readOptions() {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    allowPositionals: true,
    options: {
      models: { type: 'string', default: '11M,small' },
      tokens: { type: 'string', default: '4096' },
      steps: { type: 'string', default: '20' },
      precisions: { type: 'string', default: 'fp32,fp16' },
      device: { type: 'string', default: 'webgpu' },
      'no-check': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const device = DEVICES.find((name) => name === values.device);
  if (device === undefined) throw new Error(`--device ${values.device}: there is no such device.`);
  return {
    models: values.models.split(','),
    precisions: values.precisions.split(','),
    tokens: Number(values.tokens),
    steps: Number(values.steps),
    device,
    check: !values['no-check'],
  };
}

type Options = ReturnType<typeof readOptions>;

function model(name: string) {
  const found = MODELS.get(name);
  if (found === undefined) {
    throw new Error(
      `--models ${name}: there is no such model; known are ${[...MODELS.keys()].join(', ')}.`,
    );
  }
  return found;
}

/** A batch of about so many random tokens, of which some more than half are labels. */
function batchOf(
  config: Gpt2Config,
  tokens: number,
  number: number,
  rounding: BatchRounding,
): Batch {
  const random = new Random(number);
  const examples = range(0, Math.max(1, Math.round(tokens / LENGTH))).map((): Example => {
    const length = LENGTH - random.below(1 + LENGTH / 8);
    // As in language, a few tokens make up most of a text.
    const ids = Int32Array.from({ length }, () =>
      Math.floor(config.vocab_size * random.uniform() ** 3),
    );
    const labels = ids.map((_, place) =>
      place < 0.4 * length ? IGNORED_LABEL : at(ids, (place + 1) % length),
    );
    return {
      inputIds: ids,
      labels,
      tokenTypeIds: new Int32Array(length),
      weights: new Float32Array(length).fill(1),
    };
  });
  return makeBatch(examples, false, rounding);
}

async function step(learner: Learner, batch: Batch, number: number) {
  await learner.backward(batch, 1 / batch.labels.length, number);
  return learner.update(1e-4);
}

async function fourLosses(learner: Learner, config: Gpt2Config, tokens: number): Promise<number[]> {
  const losses: number[] = [];
  for (const number of range(0, 4)) {
    // The masks depend on the padded length; so it is the same on both.
    const report = await step(learner, batchOf(config, tokens, number, { time: 8 }), number);
    losses.push(...report.losses.flatMap((list) => [...list]));
  }
  return losses;
}

function fresh(config: Gpt2Config): Parameters {
  return Parameters.initialize(config, new Random(1));
}

async function cpuLosses(config: Gpt2Config, tokens: number): Promise<readonly number[]> {
  const checkpoint = { parameters: fresh(config), tokenizer: gpt2Tokenizer() };
  await using learner = await HostLearner.create(checkpoint, { processes: ALONE });
  return await fourLosses(learner, config, tokens);
}

async function compare(
  config: Gpt2Config,
  tokens: number,
  half: boolean,
  expected: readonly number[],
  { device }: Options,
): Promise<number> {
  await using learner = await DeviceLearner.create(fresh(config), { device, half });
  const losses = await fourLosses(learner, config, tokens);
  return Math.max(...losses.map((loss, index) => Math.abs(loss / at(expected, index) - 1)));
}

async function measure(config: Gpt2Config, half: boolean, { device, tokens, steps }: Options) {
  await using learner = await DeviceLearner.create(fresh(config), { device, half });
  const batches = range(0, 4).map((number) => batchOf(config, tokens, number, learner.rounding));
  // All shapes once, so that shaders are compiled and memory is reserved.
  for (const [number, batch] of [...batches, ...batches].entries())
    await step(learner, batch, number);
  const taken: { readonly total: number; readonly queueing: number; readonly rate: number }[] = [];
  for (const number of range(0, steps)) {
    const batch = at(batches, number % batches.length);
    const start = performance.now();
    await learner.backward(batch, 1 / batch.labels.length, number);
    const queued = performance.now();
    await learner.update(1e-4);
    const total = performance.now() - start;
    taken.push({ total, queueing: queued - start, rate: (1000 * batch.tokens) / total });
  }
  const milliseconds = median(taken.map(({ total }) => total));
  const queueing = median(taken.map((one) => one.queueing));
  return {
    milliseconds,
    queueing,
    waiting: milliseconds - queueing,
    tokensPerSecond: median(taken.map(({ rate }) => rate)),
  };
}
