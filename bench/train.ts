import { parseArgs } from 'node:util';
import { at, range } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';
import type { Example } from '../src/dataset/index.js';
import {
  gpt2Config,
  type Gpt2Config,
  innerWidth,
  Parameters,
  PUBLISHED_SIZES,
} from '../src/model/index.js';
import { Adam, type Batch, LossModel, makeBatch } from '../src/training/index.js';
import { type Benchmark, formatTable, median, secondsOf } from './benchmark.js';
import { matrixPeak } from './matrix-peak.js';
import { Peer } from './train-peer.js';
import { readSteps, STARTER_CORPUS } from './train-steps.js';

/** What one step took. */
interface Measured {
  readonly seconds: number;
  readonly adamSeconds: number;
  /** Processor time of all threads, which other programs disturb less than the clock's. */
  readonly processorSeconds: number;
}

/**
 * Training steps on the CPU: forward, backward, clipping and Adam. Beside each step of ours, on the
 * same dialogues: a step in the naive layout (padded, every position through the head) with
 * `--naive`, and one of PyTorch with `--peer`; so a machine whose speed drifts is the same to all.
 */
export const trainBenchmark: Benchmark = {
  description:
    'GPT-2 trained on the CPU [--data TSV|DATASET] [--size small|medium|large] [--tokens 4096] [--steps 3] [--accumulate 1] [--recompute] [--naive] [--peer PYTHON]',
  run: async (print) => {
    const options = readOptions();
    const config = gpt2Config({
      ...PUBLISHED_SIZES[options.size],
      ...{ embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 },
    });
    const steps = await readSteps(options);
    await using trainer = await Trainer.create(config, options);
    await using peer = await Peer.start(options.peer, config, steps);

    const layouts = {
      ours: (step: readonly Example[]) => trainer.step(step, options.accumulate),
      ...(options.naive && { naive: (step: readonly Example[]) => trainer.step(naive(step), 1) }),
      ...(peer && { peer: (step: readonly Example[]) => peer.step(steps.indexOf(step)) }),
    };
    // The first step also reserves memory; it takes the largest batch, so that it reserves enough.
    const warmUp = steps.toSorted((a, b) => tokensOf(b) - tokensOf(a)).slice(0, 1);
    let peakMemory = 0;
    for (const run of Object.values(layouts)) {
      await run(at(warmUp, 0));
      peakMemory ||= process.resourceUsage().maxRSS / 2 ** 20;
    }

    let peak = 0;
    const rows = [['step', 'tokens', 'real', 'labels', 'who', 'seconds', 'Adam', 'tokens/s']];
    const measured: Record<string, Measured[]> = {};
    const shares: number[] = [];
    for (const [number, step] of steps.entries()) {
      peak = Math.max(peak, await matrixPeak());
      for (const [name, run] of Object.entries(layouts)) {
        const result = await run(step);
        (measured[name] ??= []).push(result);
        if (name === 'ours') shares.push(trainer.operations(step) / result.seconds);
        rows.push([
          String(number + 1),
          String(tokensOf(step)),
          `${(100 * tokensOf(step)) / paddedOf(step)} %`.replace(/\..* /, ' '),
          `${(100 * labelsOf(step)) / paddedOf(step)} %`.replace(/\..* /, ' '),
          name,
          result.seconds.toFixed(2),
          result.adamSeconds.toFixed(2),
          (tokensOf(step) / result.seconds).toFixed(0),
        ]);
      }
    }
    print(formatTable(rows));

    const ours = measured.ours ?? [];
    const ratio = (who: string, what: keyof Measured) =>
      Number(
        median(
          (measured[who] ?? []).map((other, step) => other[what] / at(ours, step)[what]),
        ).toFixed(2),
      );
    const figures = {
      benchmark: 'train',
      size: options.size,
      recompute: options.recompute,
      tokensPerSecond: Math.round(
        median(ours.map(({ seconds }, step) => tokensOf(at(steps, step)) / seconds)),
      ),
      matrixPeakGflops: Math.round(peak / 1e9),
      fractionOfPeak: Number((median(shares) / peak).toFixed(3)),
      adamSeconds: Number(Math.min(...ours.map(({ adamSeconds }) => adamSeconds)).toFixed(3)),
      peakMemoryGb: Number(peakMemory.toFixed(2)),
      ...Object.fromEntries(
        Object.keys(measured)
          .filter((name) => name !== 'ours')
          .flatMap((name) => [
            [`timesFasterThan_${name}`, ratio(name, 'seconds')],
            [`timesLessProcessorThan_${name}`, ratio(name, 'processorSeconds')],
          ]),
      ),
    };
    print(
      `median ${figures.tokensPerSecond} real tokens/s; with everything counted, the matrix products run at ${(100 * figures.fractionOfPeak).toFixed(0)} % of a lone product's ${figures.matrixPeakGflops} GFLOP/s`,
    );
    return figures;
  },
};

function readOptions() {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    allowPositionals: true,
    options: {
      data: { type: 'string', default: STARTER_CORPUS },
      size: { type: 'string', default: 'small' },
      tokens: { type: 'string', default: '4096' },
      steps: { type: 'string', default: '3' },
      accumulate: { type: 'string', default: '1' },
      recompute: { type: 'boolean', default: false },
      naive: { type: 'boolean', default: false },
      peer: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { size } = values;
  if (size !== 'small' && size !== 'medium' && size !== 'large') {
    throw new Error(`--size ${size}: this is not small, medium or large.`);
  }
  return {
    ...values,
    size,
    tokens: Number(values.tokens),
    steps: Number(values.steps),
    accumulate: Number(values.accumulate),
  } as const;
}

/** A model in training. */
class Trainer {
  readonly #config: Gpt2Config;
  readonly #parameters: Parameters;
  readonly #gradients: Parameters;
  readonly #adam: Adam;
  readonly #model: LossModel;

  private constructor(config: Gpt2Config, parameters: Parameters, model: LossModel) {
    this.#config = config;
    this.#parameters = parameters;
    this.#gradients = new Parameters(config);
    this.#adam = new Adam(parameters.layout);
    this.#model = model;
  }

  static async create(
    config: Gpt2Config,
    options: { readonly recompute: boolean },
  ): Promise<Trainer> {
    const parameters = Parameters.initialize(config, new Random(1));
    return new Trainer(config, parameters, await LossModel.forTraining(parameters, options));
  }

  /** One step on some examples, in `parts` batches. */
  async step(examples: readonly Example[], parts: number): Promise<Measured> {
    const before = process.cpuUsage();
    let adamSeconds = 0;
    const seconds = await secondsOf(async () => {
      const size = Math.ceil(examples.length / parts);
      const batches = range(0, parts)
        .map((part) => examples.slice(part * size, (part + 1) * size))
        .filter(({ length }) => length > 0)
        .map((rows) => makeBatch(rows));
      const labels = batches.reduce((total, batch) => total + batch.labels.length, 0);
      this.#gradients.buffer.fill(0);
      for (const batch of batches) await this.#model.backward(batch, 1 / labels, this.#gradients);
      adamSeconds = await secondsOf(() =>
        Promise.resolve(this.#adam.step(this.#parameters, this.#gradients, 1e-5)),
      );
    });
    const { user, system } = process.cpuUsage(before);
    return { seconds, adamSeconds, processorSeconds: (user + system) / 1e6 };
  }

  /** The floating-point operations of a step's matrix products: forward once, backward twice. */
  operations(examples: readonly Example[]): number {
    return matrixOperations(this.#config, makeBatch(examples));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model[Symbol.asyncDispose]();
  }
}

function matrixOperations(config: Gpt2Config, batch: Batch): number {
  const width = config.n_embd;
  const linear = batch.tokens * width * (4 * width + 2 * innerWidth(config));
  const attention = 2 * batch.places * batch.time * width;
  const head = batch.labels.length * width * config.vocab_size;
  return 3 * 2 * (config.n_layer * (linear + attention) + head);
}

/** The same examples as the naive layout has them: padded to one length, a label everywhere. */
function naive(examples: readonly Example[]): readonly Example[] {
  const length = paddedOf(examples) / examples.length;
  return examples.map(({ inputIds, labels }) => {
    const padded = (values: Int32Array, rest: number) =>
      Int32Array.from(range(0, length), (place) => Math.max(values[place] ?? rest, 0));
    return {
      inputIds: padded(inputIds, 0),
      labels: padded(labels, 0),
      tokenTypeIds: new Int32Array(length),
      weights: new Float32Array(length).fill(1),
    };
  });
}

function tokensOf(examples: readonly Example[]): number {
  return examples.reduce((total, { inputIds }) => total + inputIds.length, 0);
}

function labelsOf(examples: readonly Example[]): number {
  return makeBatch(examples).labels.length;
}

/** The tokens when rows are padded to a multiple of 8, as the original does. */
function paddedOf(examples: readonly Example[]): number {
  const longest = Math.max(...examples.map(({ inputIds }) => inputIds.length));
  return examples.length * 8 * Math.ceil(longest / 8);
}
