import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileErrors } from '../base/errors.js';
import { exists, writeFileWhole } from '../base/files.js';
import type { Batch } from './batch.js';
import { LossSum, type Perplexity } from './perplexity.js';
import type { Progress } from './state.js';

/** Larger perplexities of a batch do not count in the running mean (the original's `INF`). */
const LARGEST_PERPLEXITY = 1e8;

const TRAIN_COLUMNS =
  'epoch,global_step,step,mean_loss,mean_ppl,n_token_real,n_token_total,epoch_time';
const EVALUATION_COLUMNS = 'epoch,global_step,step,eval_loss,eval_ppl';

/** Sums over the batches of an epoch so far, from which the log's means come. */
type Means = Progress['means'];

/**
 * The original's logs: `train_log.txt` with a line a step and `eval_log.txt` with one a
 * validation, as comma-separated values with its columns. Means run over the epoch.
 */
export class RunLog {
  readonly #train: FileHandle;
  readonly #evaluation: FileHandle;
  #means = noMeans();
  #epochStart = performance.now();

  private constructor(train: FileHandle, evaluation: FileHandle) {
    this.#train = train;
    this.#evaluation = evaluation;
  }

  /**
   * Opens the logs in `folder`: anew, or going on after the lines of the first `step` steps.
   */
  static async open(folder: string, step = 0): Promise<RunLog> {
    return withFileErrors(folder, async () => {
      await mkdir(folder, { recursive: true });
      return new RunLog(
        await openLog(join(folder, 'train_log.txt'), TRAIN_COLUMNS, step),
        await openLog(join(folder, 'eval_log.txt'), EVALUATION_COLUMNS, step),
      );
    });
  }

  /** Starts the running means anew. */
  startEpoch(): void {
    this.means = noMeans();
  }

  /** The running means, with the seconds since the epoch's start. */
  get means(): Means {
    return { ...this.#means, seconds: (performance.now() - this.#epochStart) / 1000 };
  }

  set means(means: Means) {
    this.#means = { ...means };
    this.#epochStart = performance.now() - 1000 * means.seconds;
  }

  /** Counts a batch into the running means. */
  batch(batch: Batch, losses: Float32Array): void {
    const sum = new LossSum();
    sum.add(batch, losses);
    const { loss, sequencePerplexity } = sum.result;
    const means = this.#means;
    const mean = means.batches === 0 ? 0 : means.perplexity / means.batches;
    means.batches += 1;
    means.loss += loss;
    means.perplexity += sequencePerplexity < LARGEST_PERPLEXITY ? sequencePerplexity : mean;
    means.tokens += batch.tokens;
    means.places += batch.places;
  }

  /** Writes the line of an optimizer step; `batches` counts all since the start. */
  async step(epoch: number, step: number, batches: number): Promise<void> {
    const { means } = this;
    const loss = means.loss / means.batches;
    const perplexity = means.perplexity / means.batches;
    const { tokens, places, seconds } = means;
    const fields = [epoch, step, batches, loss, perplexity, tokens, places, seconds];
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

function noMeans(): Means {
  return { batches: 0, loss: 0, perplexity: 0, tokens: 0, places: 0, seconds: 0 };
}

/** Opens a log for appending, with the lines of the first `step` steps that it holds already. */
async function openLog(path: string, columns: string, step: number): Promise<FileHandle> {
  const text = step > 0 && (await exists(path)) ? await readFile(path, 'utf8') : '';
  // A line that was cut short has no line end, and is of a later step in any case.
  const rows = text
    .split('\n')
    .slice(1, -1)
    .filter((row) => Number(row.split(',')[1]) <= step);
  await writeFileWhole(path, [columns, ...rows, ''].join('\n'));
  return open(path, 'a');
}
