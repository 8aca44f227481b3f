import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileErrors } from '../base/errors.js';
import type { Batch } from './batch.js';
import { LossSum, type Perplexity } from './perplexity.js';

/** Larger perplexities of a batch do not count in the running mean (the original's `INF`). */
const LARGEST_PERPLEXITY = 1e8;

/**
 * The original's logs: `train_log.txt` with a line a step and `eval_log.txt` with one a
 * validation, as comma-separated values with its columns. Means run over the epoch.
 */
export class RunLog {
  readonly #train: FileHandle;
  readonly #evaluation: FileHandle;
  #batches = 0;
  #loss = 0;
  #perplexity = 0;
  #tokens = 0;
  #places = 0;
  #epochStart = performance.now();

  private constructor(train: FileHandle, evaluation: FileHandle) {
    this.#train = train;
    this.#evaluation = evaluation;
  }

  /** Opens the logs in `folder`, starting them anew. */
  static async open(folder: string): Promise<RunLog> {
    return withFileErrors(folder, async () => {
      await mkdir(folder, { recursive: true });
      const train = await open(join(folder, 'train_log.txt'), 'w');
      const evaluation = await open(join(folder, 'eval_log.txt'), 'w');
      await train.appendFile(
        'epoch,global_step,step,mean_loss,mean_ppl,n_token_real,n_token_total,epoch_time\n',
      );
      await evaluation.appendFile('epoch,global_step,step,eval_loss,eval_ppl\n');
      return new RunLog(train, evaluation);
    });
  }

  /** Starts the running means anew. */
  startEpoch(): void {
    this.#batches = this.#loss = this.#perplexity = this.#tokens = this.#places = 0;
    this.#epochStart = performance.now();
  }

  /** Counts a batch into the running means. */
  batch(batch: Batch, losses: Float32Array): void {
    const sum = new LossSum();
    sum.add(batch, losses);
    const { loss, sequencePerplexity } = sum.result;
    const mean = this.#batches === 0 ? 0 : this.#perplexity / this.#batches;
    this.#batches += 1;
    this.#loss += loss;
    this.#perplexity += sequencePerplexity < LARGEST_PERPLEXITY ? sequencePerplexity : mean;
    this.#tokens += batch.tokens;
    this.#places += batch.places;
  }

  /** Writes the line of an optimizer step; `batches` counts all since the start. */
  async step(epoch: number, step: number, batches: number): Promise<void> {
    const seconds = (performance.now() - this.#epochStart) / 1000;
    const loss = this.#loss / this.#batches;
    const perplexity = this.#perplexity / this.#batches;
    const fields = [epoch, step, batches, loss, perplexity, this.#tokens, this.#places, seconds];
    await this.#train.appendFile(`${fields.join()}\n`);
  }

  /** Writes the line of a validation. */
  async validation(
    epoch: number,
    step: number,
    batches: number,
    { loss, sequencePerplexity }: Perplexity,
  ): Promise<void> {
    const fields = [epoch, step, batches, loss, sequencePerplexity];
    await this.#evaluation.appendFile(`${fields.join()}\n`);
  }

  /** Closes the files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#train.close();
    await this.#evaluation.close();
  }
}
