import { closeSync, openSync, readSync } from 'node:fs';

const READ_LENGTH = 1 << 16;
const LINE_FEED = 10;
const TAB = 9;
const COMMA = 44;

/** A file by its path, or what would be in it. */
export type SortedSource = string | Uint8Array;

/** The lines of one partition, one at a time, in little memory where they are in a file. */
class SortedLines {
  readonly #file: number | undefined;
  readonly #buffer: Buffer;
  #pending: Buffer;
  /** The line at hand without its group, and what it is sorted by: group and thread. */
  line: Buffer = Buffer.alloc(0);
  key = '';

  constructor(source: SortedSource) {
    const isFile = typeof source === 'string';
    this.#file = isFile ? openSync(source, 'r') : undefined;
    this.#buffer = Buffer.alloc(isFile ? READ_LENGTH : 0);
    this.#pending = isFile
      ? this.#buffer
      : Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    if (isFile) this.#pending = this.#pending.subarray(0, 0);
  }

  /** Goes to the next line; false at the end, where the file is closed. */
  next(): boolean {
    let end = this.#pending.indexOf(LINE_FEED);
    while (end < 0) {
      const length = this.#file === undefined ? 0 : readSync(this.#file, this.#buffer);
      if (length === 0) {
        if (this.#file !== undefined) closeSync(this.#file);
        return false;
      }
      this.#pending = Buffer.concat([this.#pending, this.#buffer.subarray(0, length)]);
      end = this.#pending.indexOf(LINE_FEED);
    }
    const line = this.#pending.subarray(0, end + 1);
    this.#pending = this.#pending.subarray(end + 1);
    this.key = line.toString('utf8', 0, line.indexOf(COMMA));
    this.line = line.subarray(line.indexOf(TAB) + 1);
    return true;
  }
}

/**
 * Merges sources of lines `group <tab> thread,…`, each sorted by group and thread, no thread in two
 * of them, into one sequence of lines without their group; pieces are about `pieceLength` bytes.
 */
export function* mergeSorted(
  from: readonly SortedSource[],
  pieceLength = 1 << 18,
): Generator<Buffer, void, undefined> {
  // The last is the smallest: taking it away costs nothing.
  const sources = from.map((source) => new SortedLines(source)).filter((source) => source.next());
  sources.sort((a, b) => (a.key < b.key ? 1 : -1));
  let piece: Buffer[] = [];
  let length = 0;
  for (let source = sources.pop(); source !== undefined; source = sources.pop()) {
    const { key } = source;
    let more = true;
    while (more && source.key === key) {
      piece.push(source.line);
      length += source.line.length;
      more = source.next();
    }
    if (length > pieceLength) {
      yield Buffer.concat(piece);
      piece = [];
      length = 0;
    }
    if (more) insert(sources, source);
  }
  if (length > 0) yield Buffer.concat(piece);
}

/** Puts a source back where it belongs, by binary search. */
function insert(sources: SortedLines[], source: SortedLines): void {
  let low = 0;
  let high = sources.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sources[middle]?.key ?? '') > source.key) low = middle + 1;
    else high = middle;
  }
  sources.splice(low, 0, source);
}
