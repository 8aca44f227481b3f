import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { UserError, withFileErrors } from '../base/errors.js';
import {
  exists,
  makeFolder,
  readJson,
  replaceFolder,
  writeFileWhole,
  writeFolderWhole,
} from '../base/files.js';
import { WorkerPool } from '../corpus/worker-pool.js';
import { gpt2Tokenizer, saveVocabulary, type Tokenizer } from '../tokenizer/index.js';
import { buildBlock, shardName } from './build-block.js';
import {
  blockAnswerSchema,
  type BlockResult,
  blockResultSchema,
  type BuildSettings,
  type BuildTask,
  type BuildWorkerData,
} from './build-tasks.js';
import {
  DATASET_FILE,
  type DatasetDescription,
  type Split,
  type SplitDescription,
} from './dataset.js';
import { readLineBatches } from './line-batches.js';
import { type Deduplication, SeenDialogues } from './seen-dialogues.js';
import type { LongMode } from './split.js';

/** How {@link buildDataset} makes examples of conversations. */
export interface BuildOptions {
  /** The longest example, in tokens; 128. */
  readonly maxSequenceLength?: number;
  /** Learn the turns backwards, for the reverse model of MMI. */
  readonly reverse?: boolean;
  /** Take only the first two turns. */
  readonly twoTurn?: boolean;
  /**
   * The most turns of an example, each piece after the first starting with the turn before it; 0
   * is all turns. With several numbers each conversation is taken once for each of them, so that
   * its turns are learnt after short and after long histories; what is held out is taken for the
   * first number alone. `[0]`.
   */
  readonly maxTurns?: readonly number[];
  /** What becomes of long dialogues; `split`, or with `compat`, `compat`. */
  readonly long?: LongMode;
  /**
   * Let short dialogues follow one another in one training example until it is full. A small model
   * then sees every position, and conversations that change their subject.
   */
  readonly join?: boolean;
  /** Turn runs of white space into one space, as the original does; `compat` always does. */
  readonly normalizeData?: boolean;
  /** Read weights as the original does, leave out broken lines, and split as it does. */
  readonly compat?: boolean;
  /** The share of conversations to hold out for validation, from 0 to 1; 0. */
  readonly validation?: number;
  /** A corpus of its own to validate on, in place of a share. */
  readonly validationCorpus?: string;
  /**
   * Leave out conversations that stood before, and those that `validationCorpus` holds; all are
   * kept unless given.
   */
  readonly deduplicate?: Deduplication;
  /** Lines of the corpus whose examples make one shard; 65,536 as in the original. */
  readonly shardSize?: number;
  /** Worker threads; the machine's cores. What is built does not depend on it. */
  readonly threads?: number;
  /**
   * Keep what is done when the work is cut short, in a folder beside `out`, and go on from there
   * when the same is built again.
   */
  readonly resume?: boolean;
  /** Stops the work; what it throws is the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called a few times a second. */
  readonly onProgress?: (progress: BuildProgress) => void;
}

/** How far a build is. */
export interface BuildProgress {
  readonly conversations: number;
  /** Of the corpus's files as they are on the disk, about. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/** Changes whenever the same inputs give another dataset. */
const VERSION = 2;
/** Corpora of up to so many bytes are built by the calling thread: starting others takes longer. */
const SMALL = 1 << 20;
const PROGRESS_MILLISECONDS = 200;
const PLAN_FILE = 'plan.json';
/** The folder with what is known of each block, inside the one that is being built. */
const BLOCKS = 'blocks';

/**
 * Builds a dataset of a corpus in the TSV format, which may be compressed: what the original's
 * `prepro.py` does, stored as Parquet shards with a `dataset.json` and, unless it is GPT-2's own,
 * the tokenizer; whole or not at all. The corpus is never in memory as a whole: worker threads
 * take blocks of `shardSize` lines.
 *
 * @throws UserError if a line cannot be read (unless `compat`), or nothing can be learnt.
 */
export async function buildDataset(
  corpus: string,
  out: string,
  tokenizer: Tokenizer,
  options: BuildOptions = {},
): Promise<DatasetDescription> {
  const build = await Build.plan(corpus, tokenizer, options);
  if (options.resume !== true) {
    let description: DatasetDescription | undefined;
    await writeFolderWhole(out, async (folder) => {
      description = await build.fill(folder);
    });
    if (description === undefined) throw new Error('A dataset was written without a description.');
    return description;
  }
  const folder = buildFolder(out);
  try {
    return await withFileErrors(out, async () => {
      await build.prepare(folder);
      const description = await build.fill(folder);
      await replaceFolder(folder, out);
      return description;
    });
  } catch (error) {
    if (options.signal?.aborted !== true) {
      // Where its place cannot be reached, nothing was written, and the reason is thrown already.
      await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    }
    throw error;
  }
}

/** Where a dataset is while it is built and may be gone on with. */
export function buildFolder(out: string): string {
  return join(dirname(out), `.${basename(out)}.building`);
}

interface Source {
  readonly path: string;
  readonly bytes: number;
  /** The split that all of it goes to; undefined where a share is held out. */
  readonly split: Split | undefined;
}

class Build {
  readonly #corpus: string;
  readonly #sources: readonly Source[];
  readonly #tokenizer: Tokenizer;
  readonly #settings: BuildSettings;
  readonly #options: BuildOptions;
  readonly #fingerprint: string;
  readonly #linesDone = new Int32Array(new SharedArrayBuffer(4));
  /** What has been read, in lines and in bytes of the files. */
  readonly #read = { lines: 0, bytes: 0 };

  private constructor(
    corpus: string,
    sources: readonly Source[],
    tokenizer: Tokenizer,
    options: BuildOptions,
    fingerprint: string,
  ) {
    this.#corpus = corpus;
    this.#sources = sources;
    this.#tokenizer = tokenizer;
    this.#settings = settingsOf(options);
    this.#options = options;
    this.#fingerprint = fingerprint;
  }

  /** @throws UserError where a corpus is not there. */
  static async plan(corpus: string, tokenizer: Tokenizer, options: BuildOptions): Promise<Build> {
    const { validationCorpus: held, deduplicate, shardSize } = options;
    const files: readonly (readonly [string, Split | undefined])[] =
      held === undefined
        ? [[corpus, undefined]]
        : [
            [held, 'validation'],
            [corpus, 'train'],
          ];
    const sources: Source[] = [];
    const hash = createHash('sha256').update(JSON.stringify([VERSION, settingsOf(options)]));
    hash.update(JSON.stringify([deduplicate, shardSize, tokenizer.vocabulary.tokens]));
    for (const [path, split] of files) {
      const { size, mtimeMs } = await withFileErrors(path, () => stat(path));
      sources.push({ path, bytes: size, split });
      hash.update(JSON.stringify([resolve(path), size, mtimeMs, split]));
    }
    return new Build(corpus, sources, tokenizer, options, hash.digest('hex'));
  }

  /** Clears what another build left in `folder`, unless it was the same one. */
  async prepare(folder: string): Promise<void> {
    const path = join(folder, PLAN_FILE);
    const plan = z.object({ fingerprint: z.string() });
    const found = plan.safeParse((await exists(path)) ? await readJson(path) : undefined);
    if (found.data?.fingerprint !== this.#fingerprint) {
      await rm(folder, { recursive: true, force: true });
      await writeFileWhole(path, JSON.stringify({ fingerprint: this.#fingerprint }));
    }
    for (const place of [folder, join(folder, BLOCKS)]) {
      for (const name of await readdir(place).catch(() => [])) {
        if (name.endsWith('.partial')) await rm(join(place, name));
      }
    }
  }

  /** Builds everything into `folder`, and leaves nothing else there. */
  async fill(folder: string): Promise<DatasetDescription> {
    await makeFolder(join(folder, BLOCKS));
    const { onProgress } = this.#options;
    let last = 0;
    const timer = setInterval(() => {
      const progress = this.#progress;
      if (progress.conversations > last) onProgress?.(progress);
      last = progress.conversations;
    }, PROGRESS_MILLISECONDS);
    try {
      const description = this.#describe(await this.#buildBlocks(folder));
      const { vocabulary } = this.#tokenizer;
      // GPT-2's own tokenizer is known everywhere; any other travels with what it made.
      if (this.#tokenizer !== gpt2Tokenizer()) {
        await saveVocabulary(folder, vocabulary, this.#settings.maxSequenceLength);
      }
      const text = `${JSON.stringify(description, null, 2)}\n`;
      await writeFileWhole(join(folder, DATASET_FILE), text);
      await rm(join(folder, BLOCKS), { recursive: true });
      await rm(join(folder, PLAN_FILE), { force: true });
      return description;
    } finally {
      clearInterval(timer);
    }
  }

  get #progress(): BuildProgress {
    const conversations = Atomics.load(this.#linesDone, 0);
    const totalBytes = this.#sources.reduce((total, { bytes }) => total + bytes, 0);
    const { lines, bytes } = this.#read;
    return { conversations, bytes: lines === 0 ? 0 : (bytes * conversations) / lines, totalBytes };
  }

  async #buildBlocks(folder: string): Promise<readonly BlockResult[]> {
    const { signal, threads = availableParallelism() } = this.#options;
    const small = this.#sources.every(({ bytes }) => bytes <= SMALL);
    const pool = small ? undefined : this.#startPool(folder, threads);
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => {
        reject(new Error('The build was stopped.', { cause: signal.reason }));
      });
    });
    aborted.catch(() => undefined);
    const results: BlockResult[] = [];
    const waiting: Promise<unknown>[] = [];
    try {
      for await (const { task, path, lines } of this.#tasks()) {
        signal?.throwIfAborted();
        const file = join(folder, BLOCKS, `${task.block}.json`);
        const known = blockResultSchema.safeParse(
          (await exists(file)) ? await readJson(file) : undefined,
        );
        if (known.success) {
          results[task.block] = known.data;
          Atomics.add(this.#linesDone, 0, lines);
          continue;
        }
        const work = this.#perform(task, folder, pool).then(async (result) => {
          const { broken } = result;
          if (broken !== undefined) {
            throw new UserError(`${path}:${broken.line}: ${broken.message}`);
          }
          await writeFileWhole(file, JSON.stringify(result));
          results[task.block] = result;
        });
        // An error is thrown where the block's turn comes, so that it is always the first line's.
        work.catch(() => undefined);
        waiting.push(work);
        if (waiting.length > threads) await Promise.race([waiting.shift(), aborted]);
      }
      for (const work of waiting) await Promise.race([work, aborted]);
      return results;
    } finally {
      await pool?.close();
    }
  }

  #startPool(folder: string, threads: number): WorkerPool {
    const data: BuildWorkerData = {
      settings: this.#settings,
      folder,
      tokens: this.#tokenizer === gpt2Tokenizer() ? undefined : this.#tokenizer.vocabulary.tokens,
      linesDone: this.#linesDone,
    };
    return new WorkerPool(new URL('./build-worker.js', import.meta.url), threads, data);
  }

  /** The blocks of all sources, one after the other. */
  async *#tasks() {
    const { deduplicate, shardSize = 65_536 } = this.#options;
    const seen = deduplicate && (await SeenDialogues.create(deduplicate));
    let block = 0;
    let bytesBefore = 0;
    for (const { path, bytes, split } of this.#sources) {
      for await (const batch of readLineBatches(path, shardSize, seen)) {
        this.#read.lines += batch.lines;
        this.#read.bytes = bytesBefore + batch.position;
        const task: BuildTask = {
          bytes: batch.bytes,
          first: batch.first,
          repeated: batch.repeated,
          split,
          block: block++,
        };
        yield { task, path, lines: batch.lines };
      }
      bytesBefore += bytes;
    }
  }

  async #perform(
    task: BuildTask,
    folder: string,
    pool: WorkerPool | undefined,
  ): Promise<BlockResult> {
    if (pool === undefined) {
      return buildBlock(task, folder, this.#tokenizer, this.#settings, (lines) => {
        Atomics.add(this.#linesDone, 0, lines);
      });
    }
    const answer = blockAnswerSchema.parse(await pool.run(task, [task.bytes.buffer]));
    if ('userError' in answer) throw new UserError(answer.userError);
    return answer;
  }

  #describe(results: readonly BlockResult[]): DatasetDescription {
    const counts = total(results.map((result) => result.counts));
    const splits = { train: splitOf(results, 'train'), validation: splitOf(results, 'validation') };
    if (splits.train.examples === 0) {
      throw new UserError(
        `${this.#corpus}: nothing to train on was found in ${counts.conversations} conversations; each line must be "turn EOS turn <tab> response".`,
      );
    }
    const { maxSequenceLength, reverse, twoTurn, maxTurns, long } = this.#settings;
    return {
      format: 'dialogpt-dataset-2',
      corpus: this.#corpus,
      maxSequenceLength,
      reverse,
      twoTurn,
      maxTurns,
      long,
      endOfText: this.#tokenizer.endOfText,
      counts,
      splits,
    };
  }
}

const NO_COUNTS: BlockResult['counts'] = {
  conversations: 0,
  repeated: 0,
  brokenLines: 0,
  withoutResponse: 0,
  dropped: 0,
  longTurns: 0,
};

function total(blocks: readonly BlockResult['counts'][]): BlockResult['counts'] {
  return blocks.reduce(
    (sum, block) => ({
      conversations: sum.conversations + block.conversations,
      repeated: sum.repeated + block.repeated,
      brokenLines: sum.brokenLines + block.brokenLines,
      withoutResponse: sum.withoutResponse + block.withoutResponse,
      dropped: sum.dropped + block.dropped,
      longTurns: sum.longTurns + block.longTurns,
    }),
    NO_COUNTS,
  );
}

function splitOf(results: readonly BlockResult[], split: Split): SplitDescription {
  const description: SplitDescription = { shards: [], examples: 0, tokens: 0, labels: 0 };
  for (const [block, { splits }] of results.entries()) {
    const { examples, tokens, labels } = splits[split];
    if (examples > 0) description.shards.push({ file: shardName(split, block), examples });
    description.examples += examples;
    description.tokens += tokens;
    description.labels += labels;
  }
  return description;
}

function settingsOf(options: BuildOptions): BuildSettings {
  const { compat = false, maxTurns = [0] } = options;
  if (maxTurns.length === 0 || maxTurns.some((most) => most < 0 || most === 1)) {
    throw new UserError('maxTurns: give 0, or at least 2: a turn and its answer.');
  }
  return {
    maxSequenceLength: options.maxSequenceLength ?? 128,
    reverse: options.reverse ?? false,
    twoTurn: options.twoTurn ?? false,
    maxTurns: [...maxTurns],
    long: options.long ?? (compat ? 'compat' : 'split'),
    join: options.join ?? false,
    normalizeData: options.normalizeData ?? false,
    compat,
    validation: options.validation ?? 0,
  };
}
