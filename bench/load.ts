import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { messageOf } from '../src/base/errors.js';
import { exists } from '../src/base/files.js';
import { Random } from '../src/base/random.js';
import { int8File } from '../src/checkpoint/index.js';
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
  /** The most memory that the process had, in bytes; pages of mapped files count. */
  peak: z.number(),
});

interface Measurement extends z.infer<typeof measurement> {
  /** The most that belonged to the process alone, in bytes: not what the system can read again. */
  readonly own: number;
}

/** How often the memory of a process is looked at (milliseconds). */
const LOOK = 5;

/** Each run is a new process; of several, the best counts. */
const RUNS = 3;

/**
 * How long a model of GPT-2 medium's size takes to load for decoding, and how much memory: ours of
 * safetensors of 32 and 16 bits and in 8 bits, and transformers.js on ONNX made of the same weights
 * (`bench/package.json` says how to get it).
 */
export const loadBenchmark: Benchmark = {
  description: `GPT-2 medium loaded on the CPU, random weights, the best of ${RUNS} processes`,
  run: async (print) => {
    await makeModels(print);
    const ours = join(import.meta.dirname, 'load-ours.js');
    const loaders = [
      ['dialogpt F32', [ours, join(folder, 'f32'), 'fp32'], 'f32/model.safetensors'],
      ['dialogpt F16', [ours, join(folder, 'f16'), 'fp32'], 'f16/model.safetensors'],
      ['dialogpt int8', [ours, join(folder, 'f32'), 'int8'], 'f32/model.int8.safetensors'],
      ['transformers.js fp32', [peer, folder], 'onnx/onnx/model.onnx_data'],
    ] as const;
    const rows = [
      ['loader', 'file MB', 'load s', 'first token s', 'peak MB', 'own MB', 'own / fp32'],
    ];
    const figures: Record<string, unknown> = { benchmark: 'load' };
    const { size: fp32Size } = await stat(join(folder, 'f32', 'model.safetensors'));
    for (const [name, command, file] of loaders) {
      const { size } = await stat(join(folder, file));
      try {
        const best = await measure(command);
        figures[name] = { fileBytes: size, ...best };
        const [fileSize = '', ...memory] = [size, best.peak, best.own].map((bytes) =>
          (bytes / 1e6).toFixed(0),
        );
        const seconds = [best.load, best.first].map((time) => time.toFixed(2));
        rows.push([name, fileSize, ...seconds, ...memory, (best.own / fp32Size).toFixed(2)]);
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
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const output = text(child.stdout);
    let own = 0;
    while (child.exitCode === null && child.signalCode === null) {
      own = Math.max(own, await ownMemory(child.pid));
      await Promise.race([ended, setTimeout(LOOK)]);
    }
    runs.push({ ...measurement.parse(JSON.parse(await output)), own });
  }
  const best = (pick: (run: Measurement) => number): number => Math.min(...runs.map(pick));
  return {
    load: best(({ load }) => load),
    first: best(({ first }) => first),
    peak: best(({ peak }) => peak),
    own: best(({ own }) => own),
  };
}

/** The memory of a process that lies in no file, in bytes, as Linux tells it; NaN elsewhere. */
async function ownMemory(pid = 0): Promise<number> {
  if (process.platform !== 'linux') return NaN;
  // It may have just ended.
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

async function makeModels(print: (line: string) => void): Promise<void> {
  if (await exists(join(folder, 'onnx', 'onnx', 'model.onnx'))) return;
  print(`Writing models of random weights to ${folder} (5 GB) …`);
  const config = gpt2Config(PUBLISHED_SIZES.medium);
  const parameters = Parameters.initialize(config, new Random(1));
  const checkpoint = { parameters, tokenizer: gpt2Tokenizer() };
  await saveCheckpoint(join(folder, 'f32'), checkpoint);
  await int8File(join(folder, 'f32'));
  await saveCheckpoint(join(folder, 'f16'), checkpoint, 'F16');
  await saveOnnx(join(folder, 'onnx'), checkpoint, 'fp32');
}
