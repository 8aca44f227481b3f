import { availableParallelism } from 'node:os';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { at } from '../base/arrays.js';
import { UserError, withFileErrors } from '../base/errors.js';
import { readDecompressed } from './decompress.js';
import { cutIntoLineBlocks } from './line-blocks.js';
import { WorkerPool } from './worker-pool.js';

/** The width of a bar of {@link CorpusStatistics.responseLengths}, in words. */
export const LENGTH_STEP = 5;

const statisticsSchema = z.object({
  /** Conversations. */
  lines: z.number(),
  sourceTokens: z.number(),
  targetTokens: z.number(),
  turns: z.number(),
  /** Turns of weight 1. */
  learnt: z.number(),
  /** How many conversations have 2, 3, 4, … turns, from index 2 on. */
  turnsPerConversation: z.array(z.number()),
  /** How many responses have 0-4, 5-9, 10-14, … words. */
  responseLengths: z.array(z.number()),
});

/** What a corpus holds. Tokens are words between spaces, weights among them, as the original counts. */
export type CorpusStatistics = z.infer<typeof statisticsSchema>;

/** What is found in a block of lines: its counts, and the first line that is no conversation. */
export const blockCountsSchema = z.object({
  counts: statisticsSchema,
  /** Counted from 1 within the block. */
  broken: z.number().optional(),
});
export type BlockCounts = z.infer<typeof blockCountsSchema>;

/** What the original's README says of the full corpus, made from all of Reddit's 2005-2017. */
export const FULL_CORPUS = {
  lines: 146_846_215,
  sourceTokens: 3_870_000_000,
  targetTokens: 2_140_000_000,
} as const;

/** The tokens are published in billions with two digits after the point. */
const ROUNDING = 1e7;

/** Whether counts are those that are published of the full corpus, to the digits given there. */
export function isFullCorpus(counts: CorpusStatistics): boolean {
  const rounded = (tokens: number) => Math.round(tokens / ROUNDING) * ROUNDING;
  return (
    counts.lines === FULL_CORPUS.lines &&
    rounded(counts.sourceTokens) === FULL_CORPUS.sourceTokens &&
    rounded(counts.targetTokens) === FULL_CORPUS.targetTokens
  );
}

export interface CountOptions {
  /** Worker threads; the machine's cores. */
  readonly threads?: number;
  /** Called with the bytes read so far, of the files as they are on the disk, and of how many. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
}

/** Blocks of so many bytes go to the workers. */
const BLOCK = 1 << 22;
const LONGEST_LINE = 1 << 28;
/** Files of up to so many bytes are counted by the calling thread: starting others takes longer. */
const SMALL = 1 << 22;

/**
 * Counts what files of conversations hold, with or without keys, compressed or not: as a stream,
 * and in parallel.
 *
 * @throws UserError where a line is no conversation.
 */
export async function countCorpus(
  paths: readonly string[],
  { threads = availableParallelism(), onProgress }: CountOptions = {},
): Promise<CorpusStatistics> {
  const sizes = [];
  for (const path of paths) sizes.push((await withFileErrors(path, () => stat(path))).size);
  const totalBytes = sizes.reduce((total, size) => total + size, 0);
  const pool =
    totalBytes <= SMALL
      ? undefined
      : new WorkerPool(new URL('./statistics-worker.js', import.meta.url), threads, {});
  const total = emptyStatistics();
  let bytesBefore = 0;
  try {
    for (const [index, path] of paths.entries()) {
      const pieces = readDecompressed(path, {
        onProgress: (bytes) => onProgress?.(bytesBefore + bytes, totalBytes),
      });
      const linesBefore = total.lines;
      const waiting: Promise<BlockCounts>[] = [];
      const takeFirst = async () => {
        const block = await waiting.shift();
        if (block?.broken !== undefined) {
          throw new UserError(
            `${path}:${total.lines - linesBefore + block.broken}: expected "context <tab> response"; give files that data extract or data import wrote.`,
          );
        }
        if (block !== undefined) addStatistics(total, block.counts);
      };
      const allocate = (length: number) => new Uint8Array(length);
      for await (const { bytes } of cutIntoLineBlocks(pieces, BLOCK, LONGEST_LINE, allocate)) {
        const counted =
          pool === undefined
            ? Promise.resolve(countBlock(bytes))
            : pool.run({ bytes }, [bytes.buffer]).then((answer) => blockCountsSchema.parse(answer));
        // An error is thrown where the block's turn comes, so that it is always the first line's.
        counted.catch(() => undefined);
        waiting.push(counted);
        if (waiting.length > threads) await takeFirst();
      }
      while (waiting.length > 0) await takeFirst();
      bytesBefore += at(sizes, index);
    }
    return total;
  } finally {
    await pool?.close();
  }
}

/** Counts a run of whole lines. */
export function countBlock(bytes: Uint8Array): BlockCounts {
  const counts = emptyStatistics();
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const line of lines) {
    const cells = (line.endsWith('\r') ? line.slice(0, -1) : line).split('\t');
    const response = cells.at(-1);
    const context = cells.at(-2);
    if (context === undefined || response === undefined || cells.length > 3) {
      return { counts, broken: counts.lines + 1 };
    }
    count(counts, context, response);
  }
  return { counts };
}

function emptyStatistics(): CorpusStatistics {
  return {
    lines: 0,
    sourceTokens: 0,
    targetTokens: 0,
    turns: 0,
    learnt: 0,
    turnsPerConversation: [],
    responseLengths: [],
  };
}

function addStatistics(total: CorpusStatistics, more: CorpusStatistics): void {
  total.lines += more.lines;
  total.sourceTokens += more.sourceTokens;
  total.targetTokens += more.targetTokens;
  total.turns += more.turns;
  total.learnt += more.learnt;
  more.turnsPerConversation.forEach((times, index) => {
    add(total.turnsPerConversation, index, times);
  });
  more.responseLengths.forEach((times, index) => {
    add(total.responseLengths, index, times);
  });
}

function count(counts: CorpusStatistics, context: string, response: string): void {
  const turns = [...context.split(' EOS '), response];
  const responseWords = wordsOf(response);
  counts.lines++;
  counts.sourceTokens += wordsOf(context);
  counts.targetTokens += responseWords;
  counts.turns += turns.length;
  counts.learnt += turns.filter((turn) => !turn.startsWith('0.0 ')).length;
  add(counts.turnsPerConversation, turns.length, 1);
  const weight = /^[01]\.0 /.test(response) ? 1 : 0;
  add(counts.responseLengths, Math.floor((responseWords - weight) / LENGTH_STEP), 1);
}

/** The number of runs of characters other than spaces. */
function wordsOf(text: string): number {
  let words = 0;
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) === 32) continue;
    if (index === 0 || text.charCodeAt(index - 1) === 32) words++;
  }
  return words;
}

function add(histogram: number[], index: number, times: number): void {
  while (histogram.length <= index) histogram.push(0);
  histogram[index] = at(histogram, index) + times;
}
