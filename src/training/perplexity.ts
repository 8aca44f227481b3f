import { at, range, sum } from '../base/arrays.js';
import { type Dataset, IGNORED_LABEL } from '../dataset/index.js';
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
  #loss = 0;
  #labels = 0;
  #rowLoss = 0;
  #rows = 0;

  /** @param losses the loss of each label of `batch`. */
  add(batch: Batch, losses: Float32Array): void {
    const rowLosses = new Float64Array(batch.size);
    const rowLabels = new Float64Array(batch.size);
    for (const [index, row] of batch.labelRows.entries()) {
      rowLosses[row] = at(rowLosses, row) + at(losses, index);
      rowLabels[row] = at(rowLabels, row) + 1;
    }
    this.#loss += sum(rowLosses);
    this.#labels += batch.labels.length;
    for (const [row, loss] of rowLosses.entries()) this.#rowLoss += loss / at(rowLabels, row);
    this.#rows += batch.size;
  }

  /** What has been added up so far. */
  get result(): Perplexity {
    const loss = this.#loss / this.#labels;
    return {
      loss,
      perplexity: Math.exp(loss),
      sequencePerplexity: Math.exp(this.#rowLoss / this.#rows),
      labels: this.#labels,
    };
  }
}

/** The perplexity of a model on a dataset. */
export async function measurePerplexity(
  model: LossModel,
  dataset: Dataset,
  { batchSize = 16, tokenTypes = false }: { batchSize?: number; tokenTypes?: boolean } = {},
): Promise<Perplexity> {
  const lengths = range(0, dataset.length).map((index) => dataset.inputLength(index));
  const total = new LossSum();
  for (const indices of sortedBatches(lengths, batchSize)) {
    const batch = makeBatch(
      indices.map((index) => dataset.example(index)),
      tokenTypes,
    );
    total.add(batch, await model.losses(batch));
  }
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
