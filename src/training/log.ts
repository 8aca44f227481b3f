import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileErrors } from '../base/errors.js';
import { exists, makeFolder, writeFileWhole } from '../base/files.js';
import type { StepReport } from './options.js';
import type { Perplexity } from './perplexity.js';
import type { Progress } from './state.js';

/** Larger perplexities of a batch do not count in the running mean (the original's `INF`). */
const LARGEST_PERPLEXITY = 1e8;

const TRAIN_COLUMNS =
  'epoch,global_step,step,mean_loss,mean_ppl,n_token_real,n_token_total,epoch_time';
const EVALUATION_COLUMNS = 'epoch,global_step,step,eval_loss,eval_ppl';
const STEP_COLUMNS = 'epoch,global_step,loss,learning_rate,gradient_norm,tokens,seconds';

/** The original's log of steps, with means since the epoch's start. */
export const TRAIN_LOG = 'train_log.txt';
/** The original's log of validations. */
export const EVALUATION_LOG = 'eval_log.txt';
/** Our log of steps: each one's own loss, and what the original does not write. */
export const STEP_LOG = 'step_log.txt';

/** Sums over the batches of an epoch so far, from which the log's means come. */
type Means = Progress['means'];

/**
 * The original's logs: `train_log.txt` with a line a step and `eval_log.txt` with one a
 * validation, as comma-separated values with its columns. Means run over the epoch. Beside them
 * `step_log.txt`, with what each step was by itself, and tokens and seconds since the start.
 */
export class RunLog {
  readonly #train: FileHandle | undefined;
  readonly #evaluation: FileHandle | undefined;
  readonly #steps: FileHandle | undefined;
  #means = noMeans();
  #epochStart = performance.now();

  private constructor(train?: FileHandle, evaluation?: FileHandle, steps?: FileHandle) {
    this.#train = train;
    this.#evaluation = evaluation;
    this.#steps = steps;
  }

  /**
   * Opens the logs in `folder`: anew, or going on after the lines of the first `step` steps.
   */
  static async open(folder: string, step = 0): Promise<RunLog> {
    return withFileErrors(folder, async () => {
      await makeFolder(folder);
      return new RunLog(
        await openLog(join(folder, TRAIN_LOG), TRAIN_COLUMNS, step),
        await openLog(join(folder, EVALUATION_LOG), EVALUATION_COLUMNS, step),
        await openLog(join(folder, STEP_LOG), STEP_COLUMNS, step),
      );
    });
  }

  /** A log that nobody keeps, of a process beside the one that writes. */
  static silent(): RunLog {
    return new RunLog();
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

  /**
   * Counts a batch into the running means.
   *
   * @param tokens the batch's tokens without padding
   * @param places its tokens with the padding that the original would have
   */
  batch({ loss, sequencePerplexity }: Perplexity, tokens: number, places: number): void {
    const means = this.#means;
    const mean = means.batches === 0 ? 0 : means.perplexity / means.batches;
    means.batches += 1;
    means.loss += loss;
    means.perplexity += sequencePerplexity < LARGEST_PERPLEXITY ? sequencePerplexity : mean;
    means.tokens += tokens;
    means.places += places;
  }

  /** Writes the line of an optimizer step; `batches` counts all since the start. */
  async step(epoch: number, step: number, batches: number): Promise<void> {
    const { means } = this;
    const loss = means.loss / means.batches;
    const perplexity = means.perplexity / means.batches;
    const { tokens, places, seconds } = means;
    const fields = [epoch, step, batches, loss, perplexity, tokens, places, seconds];
    await this.#train?.appendFile(`${fields.join()}\n`);
  }

  /** Writes what a step was by itself. */
  async report(report: StepReport): Promise<void> {
    const { epoch, step, loss, learningRate, gradientNorm, tokens, seconds } = report;
    const fields = [epoch, step, loss, learningRate, gradientNorm, tokens, seconds];
    await this.#steps?.appendFile(`${fields.join()}\n`);
  }

  /** Writes the line of a validation. */
  async validation(
    epoch: number,
    step: number,
    batches: number,
    { loss, sequencePerplexity }: Perplexity,
  ): Promise<void> {
    const fields = [epoch, step, batches, loss, sequencePerplexity];
    await this.#evaluation?.appendFile(`${fields.join()}\n`);
  }

  /** Closes the files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#train?.close();
    await this.#evaluation?.close();
    await this.#steps?.close();
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
