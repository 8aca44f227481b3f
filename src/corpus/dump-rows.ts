import { isAscii, isUtf8 } from 'node:buffer';
import { at, range } from '../base/arrays.js';
import type { ExtractRules } from './extract-options.js';
import { FieldReader, type JsonLine } from './json-fields.js';
import type { KeySet } from './key-set.js';
import { flattenText } from './normalise.js';
import { countWords, pythonInt, pythonStr, pythonTrimEnd } from './python-text.js';

/**
 * The first step, reddit.py's `extract_submissions` and `extract_comments`: lines of a dump become
 * rows with what the second step needs, sorted into partitions by thread. A row is a line of text:
 *
 *     s <tab> thread <tab> block <tab> place <tab> subreddit <tab> title
 *     c <tab> thread <tab> id <tab> parent <tab> score <tab> text
 *
 * `block` and `place` give a submission its place among those kept, which decides its group.
 * A title is empty where the original would lose the submission's row. A comment's text is empty
 * where it is too long to be a turn: such a comment ends contexts just as a missing one does.
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
  /** The rows of each partition, UTF-8. */
  readonly partitions: readonly Uint8Array<ArrayBuffer>[];
}

export interface RowSettings {
  readonly rules: Pick<ExtractRules, 'maxLen' | 'maxLenType'>;
  readonly partitions: number;
  /** Where given, only comments whose key is in here are kept (`--keep-keys`). */
  readonly keepKeys?: KeySet | undefined;
}

const encoder = new TextEncoder();

/** Reads one block of a dump's lines; `block` is its number in the dump, from 0. */
export function readRows(
  kind: DumpKind,
  bytes: Uint8Array<ArrayBuffer>,
  block: number,
  settings: RowSettings,
): Rows {
  const parts = range(0, settings.partitions).map(() => '');
  const counts: RowCounts = { lines: 0, broken: 0, kept: 0 };
  for (const line of linesOf(bytes)) {
    counts.lines++;
    const record = FIELDS[kind].read(line);
    const row =
      record === undefined
        ? 'broken'
        : kind === 'submissions'
          ? submissionRow(record, block, counts.kept)
          : commentRow(record, settings);
    if (row === 'broken') counts.broken++;
    if (typeof row === 'string') continue;
    counts.kept++;
    const partition = partitionOf(row.thread, settings.partitions);
    parts[partition] = at(parts, partition) + row.text;
  }
  return { ...counts, partitions: parts.map((part) => encoder.encode(part)) };
}

const LINE_FEED = 10;

/** The lines of a block, cut as Python's universal newlines cut them; empty ones are left out. */
function* linesOf(bytes: Uint8Array<ArrayBuffer>): Generator<JsonLine, void, undefined> {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ascii = isAscii(block) ? block.toString('latin1') : undefined;
  // JSON has no carriage return but between its tokens.
  if (block.includes(13)) block.forEach((byte, index) => byte === 13 && (block[index] = LINE_FEED));
  for (let start = 0; start < block.length;) {
    const found = block.indexOf(LINE_FEED, start);
    const end = found < 0 ? block.length : found;
    const line = block.subarray(start, end);
    const offset = start;
    const text =
      ascii === undefined
        ? (from: number, to: number): string => line.toString('utf8', from, to)
        : (from: number, to: number): string => ascii.slice(offset + from, offset + to);
    if (end > start) yield { bytes: ascii !== undefined || isUtf8(line) ? line : NOT_UTF8, text };
    start = end + 1;
  }
}

/** What stands for a line that is not UTF-8, and so no JSON. */
const NOT_UTF8 = new Uint8Array(1);

/** The fields that either kind of row is made of, or whose absence the original trips over. */
const FIELDS: Readonly<Record<DumpKind, FieldReader>> = {
  submissions: new FieldReader(['id', 'score', 'num_comments', 'domain', 'permalink', 'title']),
  comments: new FieldReader(['id', 'author', 'parent_id', 'link_id', 'score', 'body']),
};

type Row = Readonly<Record<string, unknown>>;

/** A row and the thread (submission) it belongs to, or why there is none. */
type RowResult = { readonly thread: string; readonly text: string } | 'broken' | 'dropped';

function submissionRow(record: Row, block: number, place: number): RowResult {
  const comments = pythonInt(record.num_comments);
  if (comments === undefined) return 'broken';
  if (comments < 2) return 'dropped';
  const { id, title, permalink } = record;
  const complete = 'score' in record && 'domain' in record && permalink !== undefined;
  if (typeof id !== 'string' || typeof title !== 'string' || !complete) return 'broken';
  const thread = `t3_${id}`;
  const subreddit = pythonStr(permalink).split('/')[2]?.toLowerCase() ?? '';
  if (BREAKS_ROW.test(thread) || BREAKS_ROW.test(subreddit)) return 'broken';
  const flat = pythonTrimEnd(flattenText(title));
  return { thread, text: `s\t${thread}\t${block}\t${place}\t${subreddit}\t${flat}\n` };
}

function commentRow(record: Row, settings: RowSettings): RowResult {
  const { id, body, link_id: thread, parent_id: parent, score } = record;
  if (typeof body !== 'string' || typeof thread !== 'string') return 'broken';
  const { keepKeys, rules } = settings;
  if (keepKeys?.has(`${thread}\tt1_${pythonStr(id)}\tdep`) === false) return 'dropped';
  if (body === '[deleted]' || body.includes('>') || body.includes('&gt;')) return 'dropped';
  if (id === undefined || parent === undefined || score === undefined || !('author' in record)) {
    return 'broken';
  }
  const points = score === null ? 0 : pythonInt(score);
  if (points === undefined) return 'broken';
  const flat = flattenText(body);
  const words = countWords(flat, rules.maxLenType === 'w' ? rules.maxLen + 1 : 2);
  if (words < 2) return 'dropped';
  const tooLong = rules.maxLenType === 'w' ? words > rules.maxLen : codePoints(body) > rules.maxLen;
  const text = tooLong ? '' : pythonTrimEnd(flat);
  const keys = `${thread}\t${pythonStr(id)}\t${pythonStr(parent)}`;
  if (BREAKS_KEYS.test(keys)) return 'broken';
  return { thread, text: `c\t${keys}\t${points}\t${text}\n` };
}

const BREAKS_ROW = /[\t\n\r]/;
const BREAKS_KEYS = /[\n\r]|\t.*\t.*\t/;

/** Python's `len(text)`. */
function codePoints(text: string): number {
  if (!/[\uD800-\uDBFF]/.test(text)) return text.length;
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.codePointAt(index) ?? 0;
    if (code > 0xffff) index++;
    count++;
  }
  return count;
}

/** Which partition a thread belongs to. */
function partitionOf(thread: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < thread.length; index++) {
    hash = Math.imul(hash ^ thread.charCodeAt(index), 0x01000193);
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % partitions;
}
