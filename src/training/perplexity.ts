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
    const rowLosses = new Float64Array(batch.size);
    const rowLabels = new Float64Array(batch.size);
    for (const [index, row] of batch.labelRows.entries()) {
      rowLosses[row] = at(rowLosses, row) + at(losses, index);
      rowLabels[row] = at(rowLabels, row) + 1;
    }
    let rowLoss = 0;
    for (const [row, loss] of rowLosses.entries()) rowLoss += loss / at(rowLabels, row);
    this.#addValues([sum(rowLosses), batch.labels.length, rowLoss, batch.size]);
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

/** The perplexity of a model on a dataset. */
export async function measurePerplexity(
  model: LossModel,
  dataset: Dataset,
  { batchSize = 16, tokenTypes = false, processes = ALONE }: PerplexityOptions = {},
): Promise<Perplexity> {
  const lengths = range(0, dataset.length).map((index) => dataset.inputLength(index));
  const total = new LossSum();
  for (const indices of shareOf(sortedBatches(lengths, batchSize), processes)) {
    const batch = makeBatch(
      indices.map((index) => dataset.example(index)),
      tokenTypes,
    );
    total.add(batch, await model.losses(batch));
  }
  await processes.allReduceSum(total.values);
  return total.result;
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
