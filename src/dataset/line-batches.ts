import { readDecompressed } from '../corpus/decompress.js';
import type { SeenDialogues } from './seen-dialogues.js';

/** Some lines of a corpus that stand together: the work of one worker, and one shard. */
export interface LineBatch {
  /** The lines, each ended by a line feed (the corpus's last one perhaps not). */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The number of its first line, counted from 1. */
  readonly first: number;
  /** How many lines it has. */
  readonly lines: number;
  /** Places of lines, counted from 0, whose dialogue stood before and that are to be left out. */
  readonly repeated: readonly number[];
  /** How far into the file it was read, in bytes of the file as it is. */
  readonly position: number;
}

/** A batch has no more bytes than this and a line, however long the lines are. */
const LARGEST_BATCH = 1 << 26;

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/**
 * Cuts a corpus, compressed or not, into batches of `size` lines. Where they are cut depends on the
 * corpus alone. Lines end as Python's universal newlines say: a carriage return alone, which ends
 * a line too, comes out as a line feed. A byte order mark at the start is left out.
 *
 * @param seen the dialogues met so far; without it, none is taken for repeated
 */
export async function* readLineBatches(
  path: string,
  size: number,
  seen?: SeenDialogues,
): AsyncGenerator<LineBatch, void, undefined> {
  let position = 0;
  let first = 1;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let lines = 0;
  const keep = (piece: Uint8Array) => {
    pending.push(piece);
    pendingBytes += piece.length;
  };
  const take = (): LineBatch => {
    const bytes = new Uint8Array(pendingBytes);
    let offset = 0;
    for (const piece of pending) {
      bytes.set(piece, offset);
      offset += piece.length;
    }
    const repeated = seen === undefined ? [] : findRepeated(bytes, seen);
    const batch = { bytes, first, lines, repeated, position };
    first += lines;
    pending = [];
    pendingBytes = 0;
    lines = 0;
    return batch;
  };
  const pieces = readDecompressed(path, { onProgress: (bytes) => void (position = bytes) });
  for await (const piece of withoutMark(withLineFeeds(pieces))) {
    let start = 0;
    for (let end = piece.indexOf(LINE_FEED); end >= 0; end = piece.indexOf(LINE_FEED, end + 1)) {
      lines += 1;
      if (lines < size && pendingBytes + end - start < LARGEST_BATCH) continue;
      keep(piece.subarray(start, end + 1));
      start = end + 1;
      yield take();
    }
    if (start < piece.length) keep(piece.subarray(start));
  }
  if (pendingBytes === 0) return;
  const last = pending.at(-1);
  if (last?.[last.length - 1] !== LINE_FEED) lines += 1;
  yield take();
}

/** Carriage returns that stand alone become line feeds, in copies; others stay. */
async function* withLineFeeds(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let held = false;
  for await (const read of pieces) {
    if (read.length === 0) continue;
    // A carriage return at a piece's end waits for what follows.
    let piece: Uint8Array = held ? Buffer.concat([Uint8Array.of(CARRIAGE_RETURN), read]) : read;
    held = piece[piece.length - 1] === CARRIAGE_RETURN;
    if (held) piece = piece.subarray(0, -1);
    let copied = false;
    for (
      let found = piece.indexOf(CARRIAGE_RETURN);
      found >= 0;
      found = piece.indexOf(CARRIAGE_RETURN, found + 1)
    ) {
      if (piece[found + 1] === LINE_FEED) continue;
      if (!copied) piece = Uint8Array.from(piece);
      copied = true;
      piece[found] = LINE_FEED;
    }
    if (piece.length > 0) yield piece;
  }
  if (held) yield Uint8Array.of(LINE_FEED);
}

const MARK = [0xef, 0xbb, 0xbf];

async function* withoutMark(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let start: Uint8Array | undefined = new Uint8Array();
  for await (const piece of pieces) {
    if (start === undefined) {
      yield piece;
      continue;
    }
    start = start.length === 0 ? piece : Buffer.concat([start, piece]);
    if (start.length < MARK.length) continue;
    yield MARK.every((byte, place) => start?.[place] === byte) ? start.subarray(3) : start;
    start = undefined;
  }
  if (start !== undefined && start.length > 0) yield start;
}

/** The lines of a batch, without their line ends. */
export function* linesOf(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found < 0 ? bytes.length : found;
    const content = end > start && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
    yield bytes.subarray(start, content);
    start = end + 1;
  }
}

function findRepeated(bytes: Uint8Array, seen: SeenDialogues): number[] {
  const repeated: number[] = [];
  let place = 0;
  for (const line of linesOf(bytes)) {
    if (!seen.add(line)) repeated.push(place);
    place += 1;
  }
  return repeated;
}
