import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileErrors } from '../base/errors.js';
import { exists } from '../base/files.js';
import { detectFormat } from '../corpus/detect.js';
import { importConversations } from '../corpus/import.js';
import { buildDataset, Dataset, DATASET_FILE } from '../dataset/index.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { describeDataset } from './data-build.js';
import type { TrainSettings } from './train-settings.js';

/** Where training data comes from. */
export interface DataSource {
  /** A dataset, or conversations as TSV. */
  readonly path: string;
  readonly isDataset: boolean;
}

/** Where a run's own data lies, in its folder. */
const BUILT = 'dataset';
const BUILT_HELD_OUT = 'eval-dataset';

/** Whether something at `path` is a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return (await withFileErrors(path, () => stat(path))).isDirectory();
}

/**
 * Looks at what a person gave as data; a chat in another format becomes a TSV of the name
 * `imported` in the folder of the run.
 */
export async function openSource(path: string, imported: string): Promise<DataSource> {
  if (await isFolder(path)) return { path, isDataset: true };
  const format = await detectFormat(path);
  if (format === 'tsv') return { path, isDataset: false };
  const counts = await importConversations(format, [path], imported);
  console.log(`${path}: ${counts.conversations} conversations, ${counts.turns} turns (${format})`);
  return { path: imported, isDataset: false };
}

/** The dataset that an earlier part of the run has built of its data; what that was is not needed. */
export function builtSource(out: string): Promise<DataSource | undefined> {
  return datasetAt(join(out, BUILT));
}

/** Which datasets a run has built in its folder. */
export async function hasBuilt(
  out: string,
): Promise<{ readonly data: boolean; readonly heldOut: boolean }> {
  const [data, heldOut] = [await builtSource(out), await datasetAt(join(out, BUILT_HELD_OUT))];
  return { data: data !== undefined, heldOut: heldOut !== undefined };
}

async function datasetAt(path: string): Promise<DataSource | undefined> {
  return (await exists(join(path, DATASET_FILE))) ? { path, isDataset: true } : undefined;
}

/** A dataset's folder: the source itself, or what is built of it at `out`. */
async function datasetFolder(
  { path, isDataset }: DataSource,
  out: string,
  tokenizer: Tokenizer,
  { maxSeqLength, normalizeData }: TrainSettings,
  { validation, reuse }: { readonly validation: number; readonly reuse: boolean },
): Promise<string> {
  if (isDataset) return path;
  if (reuse && (await exists(join(out, DATASET_FILE)))) return out;
  const description = await buildDataset(path, out, tokenizer, {
    maxSequenceLength: maxSeqLength,
    normalizeData,
    validation,
  });
  console.log(describeDataset(out, description));
  return out;
}

/** What is trained on and what is held out. */
export interface TrainingData {
  readonly dataset: Dataset;
  readonly heldOut: Dataset | undefined;
}

/**
 * Opens the data of a run, building it in the run's folder where it is not a dataset yet.
 *
 * @param reuse whether what an earlier part of the run has built is taken as it is
 */
export async function openData(
  source: DataSource,
  out: string,
  tokenizer: Tokenizer,
  settings: TrainSettings,
  reuse: boolean,
): Promise<TrainingData> {
  const { evalInputFile, skipEval } = settings;
  const split = skipEval === true || evalInputFile !== undefined ? 0 : settings.validation;
  const options = { validation: split, reuse };
  const folder = await datasetFolder(source, join(out, BUILT), tokenizer, settings, options);
  const dataset = await Dataset.open(folder, 'train');
  if (skipEval === true) return { dataset, heldOut: undefined };
  if (evalInputFile === undefined) {
    return { dataset, heldOut: await Dataset.open(folder, 'validation') };
  }
  const other =
    (reuse ? await datasetAt(join(out, BUILT_HELD_OUT)) : undefined) ??
    (await openSource(evalInputFile, join(out, 'eval-conversations.tsv')));
  const built = await datasetFolder(other, join(out, BUILT_HELD_OUT), tokenizer, settings, {
    validation: 0,
    reuse,
  });
  const validation = await Dataset.open(built, 'validation');
  return {
    dataset,
    heldOut: validation.length > 0 ? validation : await Dataset.open(built, 'train'),
  };
}
