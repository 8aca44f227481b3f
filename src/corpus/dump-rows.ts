import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { ExtractRules } from './extract-options.js';
import type { KeySet } from './key-set.js';
import { pythonInt, pythonStr } from './python-text.js';

/**
 * The first step, reddit.py's `extract_submissions` and `extract_comments`: lines of a dump become
 * rows with what the second step needs, sorted into partitions by thread. The work is done in
 * WebAssembly (`kernels/rows.asc.ts`), which makes no string of what is dropped. A row, whose
 * numbers are little-endian:
 *
 *     length of the row | 0 (submission) or 1 (comment) | number (float64)
 *       | length of the thread | length of the second | length of the third
 *     thread, second, third, text (UTF-8)
 *
 * A submission's number is its place among those kept, which decides its group; its second is the
 * subreddit. A comment's number is its score, its second the id with its `t1_`, its third the parent. A title is
 * empty where the original would lose the submission's row. A comment's text is empty where it is
 * too long to be a turn: such a comment ends contexts just as a missing one does.
 */

export type DumpKind = 'submissions' | 'comments';

/** What reading a block of lines counted. */
export interface RowCounts {
  lines: number;
  /** Lines that are not JSON, or lack a field that the original needs. */
  broken: number;
  kept: number;
}

export interface Rows extends RowCounts {
  /** All rows, sorted by partition. */
  readonly bytes: Uint8Array;
  /** Where each partition's rows end in `bytes`. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

export interface RowSettings {
  readonly rules: Pick<ExtractRules, 'maxLen' | 'maxLenType'>;
  readonly partitions: number;
  /** Where given, only comments whose key is in here are kept (`--keep-keys`). */
  readonly keepKeys?: KeySet | undefined;
}

const exportSchema = z.object({
  memory: z.instanceof(WebAssembly.Memory),
  prepare:
    z.custom<
      (
        length: number,
        kind: number,
        partitions: number,
        longest: number,
        inWords: boolean,
        keyed: boolean,
      ) => number
    >(isFunction),
  reserve: z.custom<(length: number) => number>(isFunction),
  readBlock: z.custom<() => number>(isFunction),
  endsAddress: z.custom<() => number>(isFunction),
  lines: z.custom<() => number>(isFunction),
  broken: z.custom<() => number>(isFunction),
  kept: z.custom<() => number>(isFunction),
});

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}

const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;

/** Reads blocks of a dump's lines into rows. */
export class RowReader {
  readonly #settings: RowSettings;
  readonly #kernel: z.infer<typeof exportSchema>;
  #kind: DumpKind = 'submissions';

  constructor(settings: RowSettings) {
    this.#settings = settings;
    const module = new WebAssembly.Module(
      readFileSync(new URL('./kernels/rows.wasm', import.meta.url)),
    );
    const { exports } = new WebAssembly.Instance(module, {
      'rows.asc': {
        mend: (start: number, length: number) => this.#mend(start, length),
        keeps: (start: number, threadLength: number, idLength: number) =>
          this.#keeps(start, threadLength, idLength),
      },
    });
    this.#kernel = exportSchema.parse({ ...exports });
  }

  /**
   * The rows of a block of lines, cut as Python's universal newlines cut them; empty lines are left
   * out. Submissions are numbered from 0. The rows are the kernel's until the next call.
   */
  read(kind: DumpKind, bytes: Uint8Array): Rows {
    const { rules, partitions, keepKeys } = this.#settings;
    const kernel = this.#kernel;
    this.#kind = kind;
    const input = kernel.prepare(
      bytes.length,
      kind === 'submissions' ? 0 : 1,
      partitions,
      rules.maxLen,
      rules.maxLenType === 'w',
      keepKeys !== undefined,
    );
    // A buffer's search is many times as fast as an array's.
    const block = Buffer.from(kernel.memory.buffer, input, bytes.length);
    block.set(bytes);
    // JSON has no carriage return but between its tokens.
    if (block.includes(CARRIAGE_RETURN)) replace(block, CARRIAGE_RETURN, LINE_FEED);
    if (!isUtf8(block)) spoilLines(block, (line) => !isUtf8(line));
    const start = kernel.readBlock();
    const ends = new Uint32Array(kernel.memory.buffer, kernel.endsAddress(), partitions).slice();
    return {
      lines: kernel.lines(),
      broken: kernel.broken(),
      kept: kernel.kept(),
      bytes: new Uint8Array(kernel.memory.buffer, start, ends.at(-1)),
      ends,
    };
  }

  #text(start: number, length: number): string {
    return Buffer.from(this.#kernel.memory.buffer, start, length).toString();
  }

  #mend(start: number, length: number): number {
    const mended = mendLine(this.#text(start, length), this.#kind);
    if (mended === undefined) return 0;
    const bytes = Buffer.from(mended);
    const place = this.#kernel.reserve(bytes.length);
    new Uint8Array(this.#kernel.memory.buffer, place, bytes.length).set(bytes);
    return bytes.length;
  }

  #keeps(start: number, threadLength: number, idLength: number): boolean {
    const thread = this.#text(start, threadLength);
    const id = this.#text(start + threadLength, idLength);
    return this.#settings.keepKeys?.has(`${thread}\t${id}\tdep`) !== false;
  }
}

function replace(bytes: Buffer, from: number, to: number): void {
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) bytes[at] = to;
}

/** Makes the lines that `isBad` no JSON. */
function spoilLines(block: Buffer, isBad: (line: Uint8Array) => boolean): void {
  for (let start = 0; start < block.length;) {
    const found = block.indexOf(LINE_FEED, start);
    const end = found < 0 ? block.length : found;
    const line = block.subarray(start, end);
    if (isBad(line)) line.fill(0);
    start = end + 1;
  }
}

/** What the original does with a field: `str` or `int` of it, text that it must be, or its mere presence. */
const FIELDS = {
  submissions: {
    id: textOrNothing,
    title: textOrNothing,
    permalink: pythonStr,
    num_comments: pythonInt,
    score: presence,
    domain: presence,
  },
  comments: {
    id: pythonStr,
    author: presence,
    parent_id: pythonStr,
    link_id: textOrNothing,
    score: (value: unknown) => (value === null ? 0 : pythonInt(value)),
    body: textOrNothing,
  },
} as const satisfies Record<DumpKind, Record<string, (value: unknown) => unknown>>;

function textOrNothing(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function presence(): null {
  return null;
}

/** The most that a score may be to be a number of 15 digits. */
const LARGEST = 1e15 - 1;

/**
 * A line as the kernel reads it: an object of the wanted fields, each of the type that it needs and
 * missing where the original would fail on it. Nothing where the line is no JSON object.
 */
function mendLine(line: string, kind: DumpKind): string | undefined {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof record !== 'object' || record === null) return undefined;
  const values = new Map<string, unknown>(Object.entries(record));
  const fields = new Map<string, (value: unknown) => unknown>(Object.entries(FIELDS[kind]));
  const mended = new Map<string, unknown>();
  for (const [name, convert] of fields) {
    const value = values.has(name) ? convert(values.get(name)) : undefined;
    if (typeof value === 'number') mended.set(name, Math.max(-LARGEST, Math.min(LARGEST, value)));
    else if (value !== undefined) mended.set(name, value);
  }
  return JSON.stringify(Object.fromEntries(mended));
}
