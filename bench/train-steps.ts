import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { range } from '../src/base/arrays.js';
import { buildDataset, Dataset, type Example } from '../src/dataset/index.js';
import { gpt2Tokenizer } from '../src/tokenizer/index.js';
import { epochBatches } from '../src/training/index.js';
import { temporaryFolder } from './benchmark.js';

/** What is trained on where nothing else is named. */
export const STARTER_CORPUS = join(import.meta.dirname, '../../corpus/starter.tsv');

/** The examples of some steps of about `tokens` tokens: of a dataset or of one built of a TSV of conversations. */
export async function readSteps(options: {
  readonly data: string;
  readonly tokens: number;
  readonly steps: number;
}): Promise<readonly (readonly Example[])[]> {
  const { data, tokens, steps } = options;
  if ((await stat(data)).isDirectory()) return pickSteps(await Dataset.open(data), tokens, steps);
  await using temporary = await temporaryFolder();
  const folder = temporary.path;
  await buildDataset(data, join(folder, 'dataset'), gpt2Tokenizer());
  return pickSteps(await Dataset.open(join(folder, 'dataset')), tokens, steps);
}

/** Batches of about `tokens` tokens, as an epoch brings them: of neighbours in length. */
function pickSteps(
  dataset: Dataset,
  tokens: number,
  steps: number,
): readonly (readonly Example[])[] {
  const lengths = range(0, dataset.length).map((index) => dataset.inputLength(index));
  const mean = lengths.reduce((total, length) => total + length, 0) / lengths.length;
  const batchSize = Math.max(1, Math.round(tokens / mean));
  return epochBatches(lengths, batchSize, 1, 0)
    .filter(({ length }) => length === Math.min(batchSize, dataset.length))
    .slice(0, steps)
    .map((indices) => indices.map((index) => dataset.example(index)));
}
