import { type Benchmark, runBenchmark } from './benchmark.js';
import { buildBenchmark } from './build.js';
import { decodeBenchmark } from './decode.js';
import { evalBenchmark } from './eval.js';
import { firstMinuteBenchmark } from './first-minute.js';
import { loadBenchmark } from './load.js';
import { extractBenchmark } from './extract.js';
import { samplingBenchmark } from './sampling.js';
import { serveBenchmark } from './serve.js';
import { trainBenchmark } from './train.js';
import { trainGpuBenchmark } from './train-gpu.js';
import { trainProductsBenchmark } from './train-products.js';

/** The benchmarks, by the name that `npm run bench -- NAME` takes. */
const benchmarks: ReadonlyMap<string, Benchmark> = new Map([
  ['build', buildBenchmark],
  ['decode', decodeBenchmark],
  ['eval', evalBenchmark],
  ['first-minute', firstMinuteBenchmark],
  ['load', loadBenchmark],
  ['extract', extractBenchmark],
  ['sampling', samplingBenchmark],
  ['serve', serveBenchmark],
  ['train', trainBenchmark],
  ['train-gpu', trainGpuBenchmark],
  ['train-products', trainProductsBenchmark],
]);

const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const json = process.argv.includes('--json');
const benchmark = benchmarks.get(names[0] ?? '');
if (benchmark === undefined) {
  console.error('npm run bench -- NAME [--json], where NAME is one of:');
  for (const [name, { description }] of benchmarks) console.error(`  ${name}: ${description}`);
  process.exitCode = 2;
} else {
  await runBenchmark(benchmark, json);
}
