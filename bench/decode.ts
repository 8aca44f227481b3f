import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { at } from '../src/base/arrays.js';
import { messageOf } from '../src/base/errors.js';
import { exists } from '../src/base/files.js';
import { Random } from '../src/base/random.js';
import { int8File } from '../src/checkpoint/index.js';
import { saveCheckpoint } from '../src/checkpoint/folder.js';
import { saveOnnx } from '../src/checkpoint/onnx-folder.js';
import { gpt2Config, Parameters, PUBLISHED_SIZES } from '../src/model/index.js';
import { gpt2Tokenizer } from '../src/tokenizer/index.js';
import { memoryBandwidth } from './bandwidth.js';
import { type Benchmark, formatTable, median } from './benchmark.js';
import {
  BATCHES,
  LONG_PROMPT,
  LONGEST,
  NEW_TOKENS,
  PROMPT,
  type Rates,
  ratesSchema,
} from './decode-measure.js';
import { writeGguf } from './gguf.js';
import { matrixPeak } from './matrix-peak.js';

const root = resolve(import.meta.dirname, '../..');

type Size = 'small' | 'medium';
type Shape = (typeof PUBLISHED_SIZES)[Size];

/** What one round measured, all of it within a minute or two. */
interface Round {
  /** Of each program that ran. */
  readonly rates: ReadonlyMap<string, Rates>;
  /** Bytes a second that memory gives: the median of what was measured after each program. */
  readonly bandwidth: number;
  /** Floating-point operations a second of a lone product, likewise. */
  readonly peak: number;
}

/** How often each program runs. */
const ROUNDS: Readonly<Record<Size, number>> = { small: 3, medium: 2 };

/**
 * How fast models of GPT-2's sizes decode, beside transformers.js and llama.cpp on the same weights
 * (`bench/package.json` says how to get them), each in a process of its own, and beside the rates at
 * which memory gives the weights out and a lone product computes. With `--quick`, GPT-2 small alone;
 * with `--medium`, GPT-2 medium alone.
 */
export const decodeBenchmark: Benchmark = {
  description: `Tokens a second on the CPU, the median of ${NEW_TOKENS} steps (of fewer, if they take over ${LONGEST} s) after prompts of ${PROMPT}, by rows at a time; a prompt of ${LONG_PROMPT}`,
  run: async (print) => {
    const chosen = (flag: string, size: Size): Size[] =>
      process.argv.includes(flag) ? [size] : [];
    const some = [...chosen('--quick', 'small'), ...chosen('--medium', 'medium')];
    const sizes: readonly Size[] = some.length > 0 ? some : ['small', 'medium'];
    const figures: Record<string, unknown> = { benchmark: 'decode' };
    for (const size of sizes) figures[size] = await measureSize(size, print);
    return figures;
  },
};

async function measureSize(size: Size, print: (line: string) => void): Promise<unknown> {
  const folder = join(root, 'runs', 'bench', size);
  await makeModels(folder, size, print);
  const ours = join(import.meta.dirname, 'decode-ours.js');
  const peer = (name: string) => join(root, 'bench', name);
  const int8 = await int8File(join(folder, 'f32'));
  const programs = [
    ['dialogpt fp32', [ours, join(folder, 'f32'), 'fp32']],
    ['dialogpt int8', [ours, join(folder, 'f32'), 'int8']],
    ['transformers.js fp32', [peer('decode-transformers-js.mjs'), join(folder, 'onnx')]],
    ['llama.cpp Q8_0', [peer('decode-llama.mjs'), join(folder, 'q8_0.gguf')]],
  ] as const;
  const missing = new Set<string>();
  const rounds: Round[] = [];
  // Round by round, so that a busy moment of the machine falls on all of them.
  while (rounds.length < ROUNDS[size]) {
    const rates = new Map<string, Rates>();
    const [bandwidths, peaks]: [number[], number[]] = [[], []];
    for (const [name, command] of programs.filter(([name]) => !missing.has(name))) {
      try {
        const { stdout } = await promisify(execFile)(process.execPath, command);
        rates.set(name, ratesSchema.parse(JSON.parse(stdout)));
      } catch (error) {
        missing.add(name);
        print(`${name}: not measured: ${messageOf(error)}`);
      }
      bandwidths.push(await memoryBandwidth());
      peaks.push(await matrixPeak());
    }
    rounds.push({ rates, bandwidth: median(bandwidths), peak: median(peaks) });
  }
  const rates = medianRates(rounds);
  const bandwidth = median(rounds.map((round) => round.bandwidth));
  const peak = median(rounds.map((round) => round.peak));
  const sizes = {
    fp32: (await stat(join(folder, 'f32', 'model.safetensors'))).size,
    int8: (await stat(int8)).size,
  };
  const fp32Limit = bandwidth / sizes.fp32;
  const int8Limit = bandwidth / sizes.int8;
  const promptLimit = peak / operationsOfPrompt(PUBLISHED_SIZES[size]);
  const columns = ['', ...BATCHES.map((rows) => `${rows} at a time`), `prompt of ${LONG_PROMPT}`];
  print(
    `GPT-2 ${size}; memory gives ${(bandwidth / 1e9).toFixed(1)} GB/s, a lone product in 32 bits ${(peak / 1e9).toFixed(0)} GFLOP/s`,
  );
  print(
    formatTable([
      columns,
      ...Array.from(rates, ([name, { steps, prefill }]) => [
        name,
        ...BATCHES.map((rows) => (steps[rows] ?? NaN).toFixed(1)),
        prefill.toFixed(0),
      ]),
      [
        'limit fp32',
        fp32Limit.toFixed(1),
        ...BATCHES.slice(1).map(() => ''),
        promptLimit.toFixed(0),
      ],
      ['limit int8', int8Limit.toFixed(1)],
    ]),
  );
  const ratios = medianRatios(rounds, sizes);
  print(
    formatTable([
      ['ratio, the median of the rounds', 'is', 'from', 'to', 'target'],
      ...ratios.map(({ name, ratio, lowest, highest, target }) => [
        name,
        ...[ratio, lowest, highest, target].map((number) => number.toFixed(2)),
      ]),
    ]),
  );
  return {
    bandwidth,
    peak,
    fp32Limit,
    int8Limit,
    promptLimit,
    rates: Object.fromEntries(rates),
    ratios,
  };
}

/**
 * The floating-point operations that a token of the long prompt cannot do without: the products of
 * its layers, of the last one for keys and values alone, and attention to what comes before.
 */
function operationsOfPrompt({ n_layer: layers, n_embd: width }: Shape): number {
  const perLayer = 24 * width ** 2;
  const attention = 4 * width * (LONG_PROMPT / 2);
  return (layers - 1) * (perLayer + attention) + 4 * width ** 2;
}

/** The middle of the rounds' rates, by program. */
function medianRates(rounds: readonly Round[]): ReadonlyMap<string, Rates> {
  const names = new Set(rounds.flatMap(({ rates }) => [...rates.keys()]));
  const middle = (name: string, pick: (rates: Rates) => number | undefined) =>
    median(
      rounds.flatMap(({ rates }) => {
        const one = rates.get(name);
        return one === undefined ? [] : [pick(one) ?? NaN];
      }),
    );
  return new Map(
    Array.from(names, (name) => [
      name,
      {
        steps: Object.fromEntries(
          BATCHES.map((rows) => [rows, middle(name, ({ steps }) => steps[rows])]),
        ),
        prefill: middle(name, ({ prefill }) => prefill),
      },
    ]),
  );
}

interface Ratio {
  readonly name: string;
  readonly ratio: number;
  readonly target: number;
}

/**
 * Ratios of what was measured in the same round, the median of the rounds: a machine that is slower
 * in one round than in another says nothing then. `sizes` are the weights' bytes.
 */
function medianRatios(
  rounds: readonly Round[],
  sizes: { readonly fp32: number; readonly int8: number },
): (Ratio & { readonly lowest: number; readonly highest: number })[] {
  const all = rounds.map(({ rates, bandwidth }) =>
    ratiosOf(rates, bandwidth / sizes.fp32, bandwidth / sizes.int8),
  );
  return (all[0] ?? []).map(({ name, target }, index) => {
    const values = all.map((ratios) => at(ratios, index).ratio);
    return {
      name,
      target,
      ratio: median(values),
      lowest: Math.min(...values),
      highest: Math.max(...values),
    };
  });
}

function ratiosOf(
  rates: ReadonlyMap<string, Rates>,
  fp32Limit: number,
  int8Limit: number,
): Ratio[] {
  const step = (name: string, rows: number) => rates.get(name)?.steps[rows] ?? NaN;
  const prefill = (name: string) => rates.get(name)?.prefill ?? NaN;
  const [fp32, int8] = ['dialogpt fp32', 'dialogpt int8'];
  const [transformers, llama] = ['transformers.js fp32', 'llama.cpp Q8_0'];
  const peers = [prefill(transformers), prefill(llama)].filter((rate) => !Number.isNaN(rate));
  const bestPeer = peers.length === 0 ? NaN : Math.max(...peers);
  return [
    { name: 'int8, 1 row: to llama.cpp', ratio: step(int8, 1) / step(llama, 1), target: 1.5 },
    { name: 'int8, 1 row: to the limit', ratio: step(int8, 1) / int8Limit, target: 0.6 },
    {
      name: 'fp32, 1 row: to transformers.js',
      ratio: step(fp32, 1) / step(transformers, 1),
      target: 1.1,
    },
    { name: 'fp32, 1 row: to the limit', ratio: step(fp32, 1) / fp32Limit, target: 0.8 },
    { name: 'fp32: 32 rows to 1', ratio: step(fp32, 32) / step(fp32, 1), target: 6 },
    { name: 'int8: 32 rows to 1', ratio: step(int8, 32) / step(int8, 1), target: 6 },
    {
      name: 'fp32, prompt: to transformers.js',
      ratio: prefill(fp32) / prefill(transformers),
      target: 1.5,
    },
    { name: 'fp32, prompt: to the best peer', ratio: prefill(fp32) / bestPeer, target: 1.5 },
    { name: 'int8, prompt: to the best peer', ratio: prefill(int8) / bestPeer, target: 1.5 },
  ];
}

async function makeModels(
  folder: string,
  size: Size,
  print: (line: string) => void,
): Promise<void> {
  if (await exists(join(folder, 'q8_0.gguf'))) return;
  print(`Writing models of random weights to ${folder} …`);
  const config = gpt2Config(PUBLISHED_SIZES[size]);
  const parameters = Parameters.initialize(config, new Random(1));
  const checkpoint = { parameters, tokenizer: gpt2Tokenizer() };
  await saveCheckpoint(join(folder, 'f32'), checkpoint);
  await saveOnnx(join(folder, 'onnx'), checkpoint, 'fp32');
  await writeGguf(join(folder, 'q8_0.gguf'), parameters, checkpoint.tokenizer.vocabulary);
}
