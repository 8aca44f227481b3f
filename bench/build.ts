import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { buildDataset, Dataset } from '../src/dataset/index.js';
import { buildBlock } from '../src/dataset/build-block.js';
import { readLineBatches } from '../src/dataset/line-batches.js';
import { gpt2Tokenizer } from '../src/tokenizer/index.js';
import { type Benchmark, formatTable, secondsOf, temporaryFolder } from './benchmark.js';
import { writeConversations } from './conversations.js';

const CONVERSATIONS = 300_000;
const SHARD = 65_536;

/**
 * Makes a Reddit-like corpus (seed 1) and builds a dataset of it: each stage by itself in one
 * thread, then all of it with a worker a core, and the dataset opened and read at random.
 */
export const buildBenchmark: Benchmark = {
  description: `dataset building: ${CONVERSATIONS} made-up conversations of Reddit's length`,
  async run(print) {
    await using temporary = await temporaryFolder();
    const folder = temporary.path;
    const corpus = join(folder, 'corpus.tsv');
    await writeConversations(corpus, CONVERSATIONS, 1);
    const megabytes = (await stat(corpus)).size / 1e6;
    const stages = await measureStages(corpus, folder);
    const out = join(folder, 'dataset');
    let examples = 0;
    let tokens = 0;
    const before = process.cpuUsage();
    const building = await secondsOf(async () => {
      const { splits } = await buildDataset(corpus, out, gpt2Tokenizer());
      ({ examples, tokens } = splits.train);
    });
    const { user, system } = process.cpuUsage(before);
    const processor = (user + system) / 1e6;
    const reading = await measureReading(out);
    const row = (name: string, seconds: number) => [
      name,
      seconds.toFixed(2),
      String(Math.round(examples / seconds)),
      (megabytes / seconds).toFixed(1),
    ];
    print(
      formatTable([
        ['stage', 'seconds', 'examples/s', 'MB/s'],
        row('cutting the corpus into blocks', stages.cutting),
        row('making examples, one thread', stages.examples),
        row('writing Parquet, one thread', stages.writing),
        row(`all of it, ${availableParallelism()} workers`, building),
        row('… in seconds of one processor', processor),
        row('opening the dataset', reading.opening),
        row('reading every example, shuffled', reading.examples),
      ]),
    );
    return {
      threads: availableParallelism(),
      megabytes,
      examples,
      tokens,
      stages,
      building,
      processor,
      examplesPerMinute: Math.round((examples / building) * 60),
      reading,
      residentMegabytes: Math.round(process.resourceUsage().maxRSS / 1000),
    };
  },
};

/** Seconds of each stage, one after the other in this thread. */
async function measureStages(corpus: string, folder: string) {
  const seconds = { cutting: 0, examples: 0, writing: 0 };
  const settings = {
    maxSequenceLength: 128,
    reverse: false,
    twoTurn: false,
    maxTurns: [0],
    long: 'split',
    join: false,
    normalizeData: false,
    compat: false,
    validation: 0,
  } as const;
  let block = 0;
  let last = performance.now();
  for await (const batch of readLineBatches(corpus, SHARD)) {
    seconds.cutting += (performance.now() - last) / 1000;
    const task = { ...batch, split: undefined, block: block++ };
    const result = await buildBlock(task, folder, gpt2Tokenizer(), settings, () => undefined);
    seconds.examples += result.seconds.examples;
    seconds.writing += result.seconds.writing;
    last = performance.now();
  }
  return seconds;
}

/** Seconds to open the dataset, and to read all of its examples far apart from one another. */
async function measureReading(folder: string) {
  const started = performance.now();
  const dataset = await Dataset.open(folder);
  const opened = performance.now();
  // A step without a common divisor visits every example once.
  const step = 7919;
  for (let place = 0; place < dataset.length; place++) {
    dataset.example((place * step) % dataset.length);
  }
  return {
    opening: (opened - started) / 1000,
    examples: (performance.now() - opened) / 1000,
  };
}
