import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { messageOf } from '../src/base/errors.js';
import { exists } from '../src/base/files.js';
import { Random } from '../src/base/random.js';
import { saveCheckpoint } from '../src/checkpoint/folder.js';
import { saveOnnx } from '../src/checkpoint/onnx-folder.js';
import { gpt2Config, Parameters, PUBLISHED_SIZES } from '../src/model/index.js';
import { gpt2Tokenizer } from '../src/tokenizer/index.js';
import { type Benchmark, formatTable } from './benchmark.js';

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, 'runs', 'bench', 'medium');
const peer = join(root, 'bench', 'load-transformers-js.mjs');

const measurement = z.object({
  /** Seconds until the weights are there. */
  load: z.number(),
  /** Seconds until the scores of a first token are there. */
  first: z.number(),
  /** The most memory that the process had, in bytes. */
  peak: z.number(),
});

type Measurement = z.infer<typeof measurement>;

/** Each run is a new process; of several, the best counts. */
const RUNS = 3;

/**
 * How long a model of GPT-2 medium's size takes to load, and how much memory: our loader on
 * safetensors of 32 and 16 bits, and transformers.js on ONNX made of the same weights
 * (`bench/package.json` says how to get it).
 */
export const loadBenchmark: Benchmark = {
  description: `GPT-2 medium loaded on the CPU, random weights, the best of ${RUNS} processes`,
  run: async (print) => {
    await makeModels(print);
    const ours = join(import.meta.dirname, 'load-ours.js');
    const loaders = [
      ['dialogpt F32', [ours, join(folder, 'f32')], 'f32/model.safetensors'],
      ['dialogpt F16', [ours, join(folder, 'f16')], 'f16/model.safetensors'],
      ['transformers.js fp32', [peer, folder], 'onnx/onnx/model.onnx_data'],
    ] as const;
    const rows = [['loader', 'file MB', 'load s', 'first token s', 'peak MB', 'peak / file']];
    const figures: Record<string, unknown> = { benchmark: 'load' };
    for (const [name, command, file] of loaders) {
      const { size } = await stat(join(folder, file));
      try {
        const best = await measure(command);
        figures[name] = { fileBytes: size, ...best };
        const megabytes = [size, best.peak].map((bytes) => (bytes / 1e6).toFixed(0));
        const [fileMegabytes = '', peakMegabytes = ''] = megabytes;
        const seconds = [best.load, best.first].map((time) => time.toFixed(2));
        rows.push([name, fileMegabytes, ...seconds, peakMegabytes, (best.peak / size).toFixed(2)]);
      } catch (error) {
        print(`${name}: not measured: ${messageOf(error)}`);
      }
    }
    print(formatTable(rows));
    return figures;
  },
};

/** The best of several runs of `node` with these arguments. */
async function measure(command: readonly string[]): Promise<Measurement> {
  const runs: Measurement[] = [];
  for (let run = 0; run < RUNS; run++) {
    const { stdout } = await promisify(execFile)(process.execPath, command);
    runs.push(measurement.parse(JSON.parse(stdout)));
  }
  const best = (pick: (run: Measurement) => number): number => Math.min(...runs.map(pick));
  return {
    load: best(({ load }) => load),
    first: best(({ first }) => first),
    peak: best(({ peak }) => peak),
  };
}

async function makeModels(print: (line: string) => void): Promise<void> {
  if (await exists(join(folder, 'onnx', 'onnx', 'model.onnx'))) return;
  print(`Writing models of random weights to ${folder} (5 GB) …`);
  const config = gpt2Config(PUBLISHED_SIZES.medium);
  const parameters = Parameters.initialize(config, new Random(1));
  const checkpoint = { parameters, tokenizer: gpt2Tokenizer() };
  await saveCheckpoint(join(folder, 'f32'), checkpoint);
  await saveCheckpoint(join(folder, 'f16'), checkpoint, 'F16');
  await saveOnnx(join(folder, 'onnx'), checkpoint, 'fp32');
}
