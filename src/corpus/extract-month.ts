import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { at, range } from '../base/arrays.js';
import { exists, readJson, writeAll, writeFileWhole } from '../base/files.js';
import { readDecompressed } from './decompress.js';
import type { DumpFile } from './dump-files.js';
import type { DumpKind, RowCounts } from './dump-rows.js';
import { type ExtractRules, fingerprintOf } from './extract-options.js';
import {
  conversationCountsSchema,
  type ExtractTask,
  extentSchema,
  type MonthData,
  partitionSchema,
  rowsSchema,
} from './extract-tasks.js';
import { type ExtractWorkers, startWorkers } from './extract-workers.js';
import type { KeySet } from './key-set.js';
import { cutIntoLineBlocks } from './line-blocks.js';
import { mergeSorted, type SortedSource } from './merge-sorted.js';
import { RowCursor } from './row-cursor.js';
import { RowStore } from './row-store.js';
import { SharedBuffers } from './shared-buffers.js';

/** Changes whenever the same inputs give another output or other intermediate files. */
const VERSION = 2;

/** One month's work. */
export interface MonthJob {
  /** `YYYY-MM`. */
  readonly month: string;
  readonly dumps: Readonly<Record<DumpKind, DumpFile>>;
  /** The folder that gets `conv/MONTH.tsv` and, while it works, `extract/MONTH/`. */
  readonly output: string;
  readonly rules: ExtractRules;
  readonly keepKeys?: KeySet;
  readonly discardTargetKeys?: KeySet;
  /** What decides the keys' content, for the fingerprint. */
  readonly keysName: unknown;
  /** Worker threads; with 0, the thread that calls does the work. */
  readonly threads: number;
  /** How much may be held in memory, in bytes, besides what Node.js itself needs. */
  readonly memory: number;
}

/** Where a month stands. */
export interface MonthProgress {
  readonly month: string;
  readonly stage: 'reading' | 'building' | 'merging' | 'done';
  /** How much of the stage is done, from 0 to 1. */
  readonly share: number;
}

const rowCountsSchema = z.object({ lines: z.number(), broken: z.number(), kept: z.number() });
const stageSchema = z.object({ seconds: z.number(), megabytesPerSecond: z.number() });

/** `conv/MONTH.stat.json`: what was read, made and left out, and how fast. */
export const monthStatisticsSchema = conversationCountsSchema.extend({
  month: z.string(),
  fingerprint: z.string(),
  /** The size of `conv/MONTH.tsv`. */
  bytes: z.number(),
  submissionLines: rowCountsSchema,
  commentLines: rowCountsSchema,
  averageResponseWords: z.number(),
  /** Decompressed, in 10⁶ bytes. */
  megabytes: z.number(),
  megabytesPerSecond: z.number(),
  stages: z.object({ reading: stageSchema, building: stageSchema, merging: stageSchema }),
});
export type MonthStatistics = z.infer<typeof monthStatisticsSchema>;

/** `rows.json`: the first stage is complete, and where its rows are. */
const rowsFileSchema = z.object({
  fingerprint: z.string(),
  extents: z.array(z.array(extentSchema)),
  submissionLines: rowCountsSchema,
  commentLines: rowCountsSchema,
  megabytes: z.number(),
  seconds: z.number(),
});
type RowsFile = z.infer<typeof rowsFileSchema>;

/** The first stage's result; each partition's rows where they fitted in memory. */
interface MonthRows extends RowsFile {
  readonly pieces?: readonly (readonly Uint8Array[])[];
}

/** `NNNN.json`: this partition's conversations are complete. */
const partitionFileSchema = conversationCountsSchema.extend({
  fingerprint: z.string(),
  seconds: z.number(),
});

/** The second stage's result, and where the conversations are. */
interface Partition extends z.infer<typeof partitionFileSchema> {
  readonly source: SortedSource;
}

/** Where a month's finished conversations and statistics are. */
export function monthFiles(output: string, month: string): { tsv: string; statistics: string } {
  const name = join(output, 'conv', month);
  return { tsv: `${name}.tsv`, statistics: `${name}.stat.json` };
}

/** Where a month's intermediate files are while it is worked on. */
export function workFolder(output: string, month: string): string {
  return join(output, 'extract', month);
}

/** The statistics of a month that is done, whatever its options; undefined where it is not. */
export async function readMonthStatistics(
  output: string,
  month: string,
): Promise<MonthStatistics | undefined> {
  const { tsv, statistics } = monthFiles(output, month);
  const [found, text] = [await stat(tsv).catch(() => undefined), await readIfThere(statistics)];
  const parsed = monthStatisticsSchema.safeParse(text);
  return parsed.success && found?.size === parsed.data.bytes ? parsed.data : undefined;
}

async function readIfThere(path: string): Promise<unknown> {
  return (await exists(path)) ? readJson(path).catch(() => undefined) : undefined;
}

/**
 * Makes a month's conversations, in three stages: the dumps' rows, conversations for each partition,
 * and `conv/MONTH.tsv`. What does not fit in memory goes to files, complete ones, after the last of
 * which a run that was killed goes on: `extract/MONTH/rows`, and a file for each partition. A month
 * that is done with the same inputs and rules is left as it is.
 *
 * @throws UserError where a dump is damaged or cut off, or the disk is full.
 */
export async function extractMonth(
  job: MonthJob,
  onProgress: (progress: MonthProgress) => void = () => undefined,
): Promise<MonthStatistics> {
  const fingerprint = fingerprintOf(VERSION, job.rules, job.keysName, job.dumps);
  const done = await readMonthStatistics(job.output, job.month);
  if (done?.fingerprint === fingerprint) {
    // A run that was killed after its last file was whole has left its work behind.
    await rm(workFolder(job.output, job.month), { recursive: true, force: true });
    onProgress({ month: job.month, stage: 'done', share: 1 });
    return done;
  }
  const run = new MonthRun(job, fingerprint, onProgress);
  const pool = await run.prepare();
  try {
    const rows = await run.read(pool);
    const parts = await run.build(pool, rows);
    return await run.merge(rows, parts);
  } finally {
    await pool.close();
  }
}

/** Rows take about this share of a dump's decompressed size at most. */
const ROWS_SHARE = 0.4;
/** How much smaller than its content a compressed dump is, at most. */
const COMPRESSION = 14;
/** Rows become objects of about this many times their size. */
const OBJECTS_PER_ROW_BYTE = 8;
const MOST_PARTITIONS = 1024;
const LARGEST_PARTITION = 8 << 20;
const LARGEST_BLOCK = 1 << 20;
const SMALLEST_BLOCK = 1 << 16;
const LONGEST_LINE = 32 << 20;

class MonthRun {
  readonly #job: MonthJob;
  readonly #fingerprint: string;
  readonly #onProgress: (progress: MonthProgress) => void;
  readonly #folder: string;
  /** Bytes of conversations that are kept in memory. */
  #held = 0;

  constructor(job: MonthJob, fingerprint: string, onProgress: (progress: MonthProgress) => void) {
    this.#job = job;
    this.#fingerprint = fingerprint;
    this.#onProgress = onProgress;
    this.#folder = workFolder(job.output, job.month);
  }

  #report(stage: MonthProgress['stage'], share: number): void {
    this.#onProgress({ month: this.#job.month, stage, share });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  /** Clears what another run left that this one cannot use, and starts the workers. */
  async prepare(): Promise<ExtractWorkers> {
    const { month, output, rules, keepKeys, discardTargetKeys, threads } = this.#job;
    const known = await this.#readRowsFile();
    if (known === undefined) await rm(this.#folder, { recursive: true, force: true });
    await mkdir(this.#folder, { recursive: true });
    await removePartials(this.#folder, '.');
    await removePartials(dirname(monthFiles(output, month).tsv), `.${month}.`);
    const data: MonthData = {
      rules,
      partitions: known?.extents.length ?? this.#choosePartitions(),
      rowsPath: this.#path('rows'),
      keepKeys: keepKeys?.table,
      discardTargetKeys: discardTargetKeys?.table,
    };
    return startWorkers(threads, data);
  }

  async #readRowsFile(): Promise<RowsFile | undefined> {
    const parsed = rowsFileSchema.safeParse(await readIfThere(this.#path('rows.json')));
    return parsed.data?.fingerprint === this.#fingerprint ? parsed.data : undefined;
  }

  /** So many that one of them, as objects, fits each worker's part of the memory. */
  #choosePartitions(): number {
    const { dumps, memory, threads } = this.#job;
    const rows = (dumps.comments.size + dumps.submissions.size) * COMPRESSION * ROWS_SHARE;
    const largest = Math.min(
      LARGEST_PARTITION,
      memory / Math.max(1, threads) / OBJECTS_PER_ROW_BYTE,
    );
    return Math.max(threads, Math.min(MOST_PARTITIONS, Math.ceil(rows / largest)));
  }

  /** The first stage: both dumps become rows. */
  async read(pool: ExtractWorkers): Promise<MonthRows> {
    const known = await this.#readRowsFile();
    if (known !== undefined) return known;
    const started = performance.now();
    const store = new RowStore(
      () => open(this.#path('rows'), 'w'),
      this.#choosePartitions(),
      this.#job.memory / 4,
    );
    try {
      const submissions = await this.#readDump('submissions', pool, store);
      const comments = await this.#readDump('comments', pool, store);
      const { inMemory } = store;
      const extents = inMemory === undefined ? await store.finish() : inMemory.map(() => []);
      const rows: RowsFile = {
        fingerprint: this.#fingerprint,
        extents: extents.map((partition) => [...partition]),
        submissionLines: submissions.counts,
        commentLines: comments.counts,
        megabytes: (submissions.bytes + comments.bytes) / 1e6,
        seconds: (performance.now() - started) / 1000,
      };
      if (inMemory !== undefined) return { ...rows, pieces: inMemory };
      await writeFileWhole(this.#path('rows.json'), JSON.stringify(rows));
      return rows;
    } finally {
      await store.close();
    }
  }

  async #readDump(kind: DumpKind, pool: ExtractWorkers, store: RowStore): Promise<DumpResult> {
    const { memory, dumps } = this.#job;
    const counts: RowCounts = { lines: 0, broken: 0, kept: 0 };
    const result: DumpResult = { counts, bytes: 0 };
    const total = dumps.submissions.size + dumps.comments.size;
    const before = kind === 'comments' ? dumps.submissions.size : 0;
    const pieces = readDecompressed(dumps[kind].path, {
      onProgress: (bytes) => {
        this.#report('reading', (before + bytes) / total);
      },
    });
    const blockLength = Math.max(SMALLEST_BLOCK, Math.min(LARGEST_BLOCK, memory / 64));
    const buffers = new SharedBuffers();
    const waiting: { readonly bytes: Uint8Array; readonly answer: Promise<unknown> }[] = [];
    const takeFirst = async (): Promise<void> => {
      const first = waiting.shift();
      if (first === undefined) return;
      const rows = rowsSchema.parse(await first.answer);
      if (kind === 'submissions') numberFrom(rows.bytes, counts.kept);
      counts.lines += rows.lines;
      counts.broken += rows.broken;
      counts.kept += rows.kept;
      await store.add(rows);
      buffers.giveBack(first.bytes);
    };
    for await (const { bytes, tooLong } of cutIntoLineBlocks(
      pieces,
      blockLength,
      Math.min(LONGEST_LINE, memory / 8),
      (length) => buffers.take(length),
    )) {
      counts.lines += tooLong;
      counts.broken += tooLong;
      result.bytes += bytes.length;
      const task: ExtractTask = { kind: 'rows', dump: kind, bytes };
      const answer = pool.run(task);
      // An error is thrown where the block's turn comes, not before.
      answer.catch(() => undefined);
      waiting.push({ bytes, answer });
      // Each worker has one block at work and one to go on with.
      if (waiting.length >= 2 * pool.threads) await takeFirst();
    }
    while (waiting.length > 0) await takeFirst();
    return result;
  }

  /** The second stage: each partition's rows become its conversations. */
  async build(pool: ExtractWorkers, rows: MonthRows): Promise<Partition[]> {
    const partitions = range(0, rows.extents.length);
    const files: Partition[] = [];
    const waiting = [...partitions];
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        files[next] = await this.#buildPartition(pool, rows, next);
        this.#report('building', 1 - waiting.length / partitions.length);
      }
    };
    await Promise.all(range(0, pool.threads).map(work));
    return files;
  }

  async #buildPartition(pool: ExtractWorkers, rows: MonthRows, index: number): Promise<Partition> {
    const path = this.#path(partitionName(index));
    const known = partitionFileSchema.safeParse(await readIfThere(`${path}.json`));
    if (known.data?.fingerprint === this.#fingerprint) return { ...known.data, source: path };
    const started = performance.now();
    const task: ExtractTask = {
      kind: 'partition',
      extents: at(rows.extents, index),
      pieces: [...(rows.pieces?.[index] ?? [])],
    };
    const { lines, ...counts } = partitionSchema.parse(await pool.run(task));
    const seconds = (performance.now() - started) / 1000 / pool.threads;
    const file = { ...counts, fingerprint: this.#fingerprint, seconds };
    // Of rows in memory nothing can be gone on with, so that files would be of no use.
    if (rows.pieces !== undefined && this.#held + lines.length < this.#job.memory / 4) {
      this.#held += lines.length;
      return { ...file, source: lines };
    }
    await writeFileWhole(path, lines);
    if (rows.pieces === undefined) await writeFileWhole(`${path}.json`, JSON.stringify(file));
    return { ...file, source: path };
  }

  /** The third stage: the partitions' conversations, in the original's order, in one file. */
  async merge(rows: RowsFile, parts: readonly Partition[]): Promise<MonthStatistics> {
    const { month, output } = this.#job;
    const started = performance.now();
    const files = monthFiles(output, month);
    let bytes = 0;
    await rm(files.statistics, { force: true });
    await writeFileWhole(files.tsv, async (file) => {
      for (const piece of mergeSorted(parts.map(({ source }) => source))) {
        await writeAll(file, piece);
        bytes += piece.length;
      }
    });
    const statistics = this.#statistics(rows, parts, bytes, (performance.now() - started) / 1000);
    await writeFileWhole(files.statistics, `${JSON.stringify(statistics, null, 2)}\n`);
    await rm(this.#folder, { recursive: true });
    this.#report('done', 1);
    return statistics;
  }

  #statistics(
    rows: RowsFile,
    parts: readonly Partition[],
    bytes: number,
    merging: number,
  ): MonthStatistics {
    const total = { comments: 0, conversations: 0, responseWords: 0, building: 0 };
    const skips: MonthStatistics['skips'] = {};
    for (const part of parts) {
      total.comments += part.comments;
      total.conversations += part.conversations;
      total.responseWords += part.responseWords;
      total.building += part.seconds;
      for (const reason of conversationCountsSchema.shape.skips.keyType.options) {
        const count = part.skips[reason];
        if (count !== undefined) skips[reason] = (skips[reason] ?? 0) + count;
      }
    }
    const { building, ...counts } = total;
    const rate = (seconds: number): number => round(rows.megabytes / Math.max(seconds, 1e-6));
    const stage = (seconds: number): z.infer<typeof stageSchema> => ({
      seconds: round(seconds),
      megabytesPerSecond: rate(seconds),
    });
    return {
      month: this.#job.month,
      fingerprint: this.#fingerprint,
      bytes,
      submissionLines: rows.submissionLines,
      commentLines: rows.commentLines,
      ...counts,
      averageResponseWords: round(counts.responseWords / Math.max(1, counts.conversations)),
      skips,
      megabytes: round(rows.megabytes),
      megabytesPerSecond: rate(rows.seconds + building + merging),
      stages: { reading: stage(rows.seconds), building: stage(building), merging: stage(merging) },
    };
  }
}

interface DumpResult {
  readonly counts: RowCounts;
  /** Decompressed. */
  bytes: number;
}

/** Numbers a block's submissions, which are numbered from 0, from `first` on. */
function numberFrom(rows: Uint8Array, first: number): void {
  const row = new RowCursor(rows);
  while (row.next()) row.number += first;
}

function partitionName(index: number): string {
  return String(index).padStart(4, '0');
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Removes what a killed run was writing when it died. */
async function removePartials(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.startsWith(prefix) && name.endsWith('.partial')) await rm(join(folder, name));
  }
}
