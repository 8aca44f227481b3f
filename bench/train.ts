import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { range } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';
import { buildDataset, Dataset } from '../src/dataset/index.js';
import { gpt2Config, innerWidth, type Gpt2Config, Parameters } from '../src/model/index.js';
import { gpt2Tokenizer } from '../src/tokenizer/index.js';
import { Adam, type Batch, epochBatches, LossModel, makeBatch } from '../src/training/index.js';
import { type Benchmark, formatTable, median, secondsOf } from './benchmark.js';
import { matrixPeak } from './matrix-peak.js';

const BATCH_SIZE = 32;
const STEPS = 5;
const CORPUS = join(import.meta.dirname, '../../corpus/starter.tsv');

/** Training GPT-2 small on the starter corpus: forward, backward, clipping and Adam. */
export const trainBenchmark: Benchmark = {
  description: `GPT-2 small trained on the CPU: batches of ${BATCH_SIZE} dialogues, ${STEPS} steps`,
  run: async (print) => {
    let peak = await matrixPeak();
    const dataset = await starterDataset();
    const config = gpt2Config({ embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 });
    const parameters = Parameters.initialize(config, new Random(1));
    const gradients = new Parameters(config);
    const adam = new Adam(config);
    await using model = await LossModel.forTraining(parameters);

    const lengths = range(0, dataset.length).map((index) => dataset.inputLength(index));
    const batches = epochBatches(lengths, BATCH_SIZE, 1, 0)
      .slice(0, STEPS + 1)
      .map((indices) => makeBatch(indices.map((index) => dataset.example(index))));
    const rows = [['step', 'tokens', 'labels', 'gradients s', 'Adam s', 'tokens/s', 'GFLOP/s']];
    const measured: { speed: number; rate: number; adam: number }[] = [];
    for (const [step, batch] of batches.entries()) {
      gradients.buffer.fill(0);
      const compute = await secondsOf(() =>
        model.backward(batch, 1 / batch.labels.length, gradients),
      );
      const update = await secondsOf(() => Promise.resolve(adam.step(parameters, gradients, 1e-5)));
      if (step === 0) continue; // The first step also reserves memory.
      // The machine's speed drifts: what a lone product can do is measured beside every step.
      peak = Math.max(peak, await matrixPeak());
      const speed = batch.tokens / (compute + update);
      const rate = matrixOperations(config, batch) / (compute + update);
      measured.push({ speed, rate, adam: update });
      rows.push([
        String(step),
        String(batch.tokens),
        String(batch.labels.length),
        compute.toFixed(2),
        update.toFixed(2),
        speed.toFixed(0),
        (rate / 1e9).toFixed(0),
      ]);
    }
    print(formatTable(rows));
    const figures = {
      benchmark: 'train',
      matrixPeakGflops: Math.round(peak / 1e9),
      tokensPerSecond: Math.round(median(measured.map(({ speed }) => speed))),
      fractionOfPeak: Number((median(measured.map(({ rate }) => rate)) / peak).toFixed(3)),
      adamSeconds: Number(median(measured.map((row) => row.adam)).toFixed(3)),
      peakMemoryGb: Number((process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)),
    };
    print(
      `median ${figures.tokensPerSecond} real tokens/s; the matrix products run at ${(100 * figures.fractionOfPeak).toFixed(0)} % of a lone product's ${figures.matrixPeakGflops} GFLOP/s, everything counted`,
    );
    return figures;
  },
};

async function starterDataset(): Promise<Dataset> {
  const folder = await mkdtemp(join(tmpdir(), 'dialogpt-bench-'));
  try {
    await buildDataset(CORPUS, join(folder, 'dataset'), gpt2Tokenizer());
    return await Dataset.open(join(folder, 'dataset'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The floating-point operations of a step's matrix products: forward once, backward twice. */
function matrixOperations(config: Gpt2Config, batch: Batch): number {
  const width = config.n_embd;
  const time = batch.places / batch.size;
  const linear = batch.tokens * width * (4 * width + 2 * innerWidth(config));
  const attention = 2 * batch.places * time * width;
  const head = batch.labels.length * width * config.vocab_size;
  return 3 * 2 * (config.n_layer * (linear + attention) + head);
}
