import { at, range, sum } from '../base/arrays.js';
import { shareOf } from '../base/rank.js';
import { type Dataset, IGNORED_LABEL } from '../dataset/index.js';
import { ALONE, type Communicator } from '../runtime/index.js';
import { type Batch, makeBatch } from './batch.js';
import { sortedBatches } from './loader.js';
import type { LossModel } from './loss-model.js';

/** How well a model predicts some examples. */
export interface Perplexity {
  /** Mean negative log-likelihood of a label, in nats. */
  readonly loss: number;
  /** `e^loss`: perplexity per token. */
  readonly perplexity: number;
  /**
   * Perplexity as the original prints it (`lsp_model`, `GPT2LMHeadModel.forward`): e to the mean
   * over sequences of each one's mean loss.
   */
  readonly sequencePerplexity: number;
  /** The number of labels. */
  readonly labels: number;
}

/** What {@link measurePerplexity} says of a dataset. */
export interface MeasuredPerplexity extends Perplexity {
  /**
   * The two numbers that the original's `eval_model_loss` (gpt2_training/eval_utils.py) prints for
   * batches in the order of the file: each batch's mean loss of a label, and each batch's
   * perplexity (as {@link Perplexity.sequencePerplexity}), averaged with the batches' sizes as
   * weights. The original leaves out a last batch that is not full; here it counts.
   */
  readonly original: { readonly loss: number; readonly perplexity: number };
}

/** Of each sequence of a batch, the sum of its losses and the number of its labels. */
function sumRows(
  batch: Batch,
  losses: Float32Array,
): { readonly losses: Float64Array; readonly labels: Float64Array } {
  const sums = { losses: new Float64Array(batch.size), labels: new Float64Array(batch.size) };
  for (const [index, row] of batch.labelRows.entries()) {
    sums.losses[row] = at(sums.losses, row) + at(losses, index);
    sums.labels[row] = at(sums.labels, row) + 1;
  }
  return sums;
}

/** Adds up losses, batch by batch. */
export class LossSum {
  /**
   * What has been added up: the losses of labels, the labels, the mean losses of sequences, the
   * sequences. Sums of several processes are the sum of these.
   */
  readonly values: Float64Array;

  constructor(values: Float64Array = new Float64Array(LossSum.SIZE)) {
    this.values = values;
  }

  /** The number of {@link values}. */
  static readonly SIZE = 4;

  /** @param losses the loss of each label of `batch`. */
  add(batch: Batch, losses: Float32Array): void {
    const rows = sumRows(batch, losses);
    this.addRows(rows.losses, rows.labels);
  }

  /** Adds sequences: of each, the sum of its losses and the number of its labels. */
  addRows(losses: Float64Array, labels: Float64Array): void {
    let means = 0;
    let sequences = 0;
    for (const [row, loss] of losses.entries()) {
      // Where nothing is to be predicted, there is no mean.
      if (at(labels, row) === 0) continue;
      means += loss / at(labels, row);
      sequences += 1;
    }
    this.#addValues([sum(losses), sum(labels), means, sequences]);
  }

  /** Adds what another has added up. */
  addSum({ values }: LossSum): void {
    this.#addValues(values);
  }

  /** What has been added up so far. */
  get result(): Perplexity {
    const [sumOfLosses = 0, labels = 0, rowLoss = 0, rows = 0] = this.values;
    const loss = sumOfLosses / labels;
    return {
      loss,
      perplexity: Math.exp(loss),
      sequencePerplexity: Math.exp(rowLoss / rows),
      labels,
    };
  }

  #addValues(values: ArrayLike<number>): void {
    for (let index = 0; index < LossSum.SIZE; index++) {
      this.values[index] = at(this.values, index) + at(values, index);
    }
  }
}

/** How {@link measurePerplexity} measures. */
export interface PerplexityOptions {
  readonly batchSize?: number;
  readonly tokenTypes?: boolean;
  /** Those that share the work, each of which gets the result. */
  readonly processes?: Communicator;
}

/** See {@link MeasuredPerplexity.original}. */
function originalFigures(
  losses: Float64Array,
  labels: Float64Array,
  batchSize: number,
): MeasuredPerplexity['original'] {
  let loss = 0;
  let perplexity = 0;
  for (let start = 0; start < losses.length; start += batchSize) {
    const rows = losses.subarray(start, start + batchSize);
    const counts = labels.subarray(start, start + batchSize);
    const means = rows.map((rowLoss, row) => rowLoss / at(counts, row));
    loss += (sum(rows) / sum(counts)) * rows.length;
    perplexity += Math.exp(sum(means) / rows.length) * rows.length;
  }
  return { loss: loss / losses.length, perplexity: perplexity / losses.length };
}

/**
 * The perplexity of a model on a dataset. Examples of like lengths are computed together; the
 * figures do not depend on it.
 */
export async function measurePerplexity(
  model: Pick<LossModel, 'losses'>,
  dataset: Pick<Dataset, 'length' | 'inputLength' | 'example'>,
  { batchSize = 16, tokenTypes = false, processes = ALONE }: PerplexityOptions = {},
): Promise<MeasuredPerplexity> {
  const rowLosses = new Float64Array(dataset.length);
  const rowLabels = new Float64Array(dataset.length);
  const lengths = range(0, dataset.length).map((index) => dataset.inputLength(index));
  for (const indices of shareOf(sortedBatches(lengths, batchSize), processes)) {
    const batch = makeBatch(
      indices.map((index) => dataset.example(index)),
      tokenTypes,
    );
    const rows = sumRows(batch, await model.losses(batch));
    for (const [row, index] of indices.entries()) {
      rowLosses[index] = at(rows.losses, row);
      rowLabels[index] = at(rows.labels, row);
    }
  }
  await processes.allReduceSum(rowLosses);
  await processes.allReduceSum(rowLabels);
  const total = new LossSum();
  total.addRows(rowLosses, rowLabels);
  return { ...total.result, original: originalFigures(rowLosses, rowLabels, batchSize) };
}

/**
 * The perplexity per token of guessing each label of `held` by how often it is a label in `train`
 * (each token of the vocabulary counted once more than it occurs): what a model knows that has
 * learnt nothing but the frequency of words.
 *
 * @param vocabularySize the number of tokens
 */
export function unigramPerplexity(train: Dataset, held: Dataset, vocabularySize: number): number {
  const counts = new Float64Array(vocabularySize).fill(1);
  for (const label of labelsOf(train)) counts[label] = at(counts, label) + 1;
  const total = sum(counts);
  let loss = 0;
  let labels = 0;
  for (const label of labelsOf(held)) {
    loss -= Math.log(at(counts, label) / total);
    labels += 1;
  }
  return Math.exp(loss / labels);
}

function* labelsOf(dataset: Dataset): Generator<number, void, undefined> {
  for (let index = 0; index < dataset.length; index++) {
    for (const label of dataset.example(index).labels) if (label !== IGNORED_LABEL) yield label;
  }
}
