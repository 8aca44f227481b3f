// AssemblyScript, compiled to WebAssembly with SIMD: the first step of the extraction, from the
// lines of a dump to rows (their layout and meaning are told in `../dump-rows.ts`). It reads JSON
// as dumps are written and follows reddit.py's `extract_submissions` and `extract_comments`. What
// is out of the ordinary is handed to `mend`, which answers with the same line in ordinary form.

import { isDigit, isSpace, makeRoom, writeCharacter } from './characters.asc';
import {
  BACKSLASH,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  MINUS,
  NULL,
  OPEN_OBJECT,
  QUOTE,
  SLASH,
  SPACE,
  after,
  copyString,
  escaped,
  expectPlain,
  isWord,
  readCharacter,
  readString,
  skipString,
  skipValue,
} from './json.asc';

/** Writes the line, in ordinary form, where `reserve` says; its length, or 0 for no JSON object. */
declare function mend(start: usize, length: i32): i32;

/** Whether to keep the comment whose thread and id stand one after the other at `start`. */
declare function keeps(start: usize, threadLength: i32, idLength: i32): bool;

const SUBMISSIONS: i32 = 0;

// A row's header: the whole length, the partition or kind, a number, three lengths.
const LENGTH: usize = 0;
const KIND: usize = 4;
const NUMBER: usize = 8;
const FIRST: usize = 16;
const SECOND: usize = 20;
const THIRD: usize = 24;
const HEADER: usize = 28;

/** Beyond what is read and written in sixteens. */
const PADDING: usize = 64;

const LINE_FEED: u8 = 0x0a;

// The settings and places of the block at hand.
let kind: i32 = 0;
let partitions: i32 = 0;
let maxLength: i32 = 0;
let countsWords: bool = false;
let isKeyed: bool = false;
let ends: usize = 0;
let input: usize = 0;
let inputEnd: usize = 0;
let rows: usize = 0;
let out: usize = 0;

// What was counted.
let lineCount: i32 = 0;
let brokenCount: i32 = 0;
let keptCount: i32 = 0;

export function lines(): i32 {
  return lineCount;
}

export function broken(): i32 {
  return brokenCount;
}

export function kept(): i32 {
  return keptCount;
}

/** Where each partition's rows end, counted from the first row, as 32-bit numbers. */
export function endsAddress(): usize {
  return ends;
}

/** Prepares for a block of `length` bytes and returns where they go. */
export function prepare(
  length: i32,
  blockKind: i32,
  partitionCount: i32,
  longest: i32,
  inWords: bool,
  keyed: bool,
): usize {
  kind = blockKind;
  partitions = partitionCount;
  maxLength = longest;
  countsWords = inWords;
  isKeyed = keyed;
  ends = (__heap_base + 15) & ~15;
  input = ends + ((<usize>partitions) << 2);
  inputEnd = input + length;
  rows = inputEnd + PADDING;
  out = rows;
  // A line names its fields, so that its row is shorter than itself.
  makeRoom(rows + length + PADDING);
  return input;
}

/** A place for a mended line, behind what its row may take. */
export function reserve(length: i32): usize {
  makeRoom(out + 2 * (<usize>length + PADDING) + (inputEnd - input) + PADDING);
  return out + length + PADDING;
}

/** Reads the block into rows, sorted by partition, and returns where they are. */
export function readBlock(): usize {
  lineCount = 0;
  brokenCount = 0;
  keptCount = 0;
  store<u8>(inputEnd, LINE_FEED);
  for (let start = input; start < inputEnd;) {
    if (load<u8>(start) == LINE_FEED) {
      start++;
      continue;
    }
    lineCount++;
    let end = readObject(start);
    if (end == 0 || load<u8>(end) != LINE_FEED) {
      end = findLineEnd(start);
      const length = mend(start, <i32>(end - start));
      const mended = out + length + PADDING;
      if (length == 0 || readObject(mended) != mended + length) {
        brokenCount++;
        start = end + 1;
        continue;
      }
    }
    if (kind == SUBMISSIONS) writeSubmission();
    else writeComment();
    start = end + 1;
  }
  return sortRows();
}

function findLineEnd(start: usize): usize {
  const lineFeeds = i8x16.splat(LINE_FEED);
  let at = start;
  while (true) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(at), lineFeeds));
    if (found != 0) return at + ctz(found);
    at += 16;
  }
}

// ---- Fields --------------------------------------------------------------------------------

// The fields' values in the line at hand; a start of 0 where a field is missing.
let idStart: usize = 0;
let idEnd: usize = 0;
/** `body` or `title`. */
let textStart: usize = 0;
let textEnd: usize = 0;
let linkStart: usize = 0;
let linkEnd: usize = 0;
/** `parent_id` or `permalink`. */
let parentStart: usize = 0;
let parentEnd: usize = 0;
/** `score` of comments, `num_comments` of submissions. */
let number: f64 = 0;
let hasNumber: bool = false;
/** `author` of comments, `score` and `domain` of submissions. */
let present: i32 = 0;

/**
 * Reads an object without white space between its tokens, or with one space after `:` and `,`, and
 * remembers its fields. Returns the position after it, or 0 where anything is out of the ordinary.
 */
function readObject(start: usize): usize {
  idStart = textStart = linkStart = parentStart = 0;
  hasNumber = false;
  present = 0;
  if (load<u8>(start) != OPEN_OBJECT) return 0;
  let at = start + 1;
  while (true) {
    if (load<u8>(at) != QUOTE) return 0;
    const key = at + 1;
    expectPlain();
    at = skipString(key);
    if (at == 0 || escaped || load<u8>(at) != COLON) return 0;
    const length = <i32>(at - 1 - key);
    at += load<u8>(at + 1) == SPACE ? 2 : 1;
    at = kind == SUBMISSIONS ? submissionField(key, length, at) : commentField(key, length, at);
    if (at == 0) return 0;
    const next = load<u8>(at);
    if (next == CLOSE_OBJECT) return at + 1;
    if (next != COMMA) return 0;
    at += load<u8>(at + 1) == SPACE ? 2 : 1;
  }
}

const ID: StaticArray<u8> = [0x69, 0x64];
const BODY: StaticArray<u8> = [0x62, 0x6f, 0x64, 0x79];
const SCORE: StaticArray<u8> = [0x73, 0x63, 0x6f, 0x72, 0x65];
const TITLE: StaticArray<u8> = [0x74, 0x69, 0x74, 0x6c, 0x65];
const AUTHOR: StaticArray<u8> = [0x61, 0x75, 0x74, 0x68, 0x6f, 0x72];
const DOMAIN: StaticArray<u8> = [0x64, 0x6f, 0x6d, 0x61, 0x69, 0x6e];
const LINK_ID: StaticArray<u8> = [0x6c, 0x69, 0x6e, 0x6b, 0x5f, 0x69, 0x64];
const PARENT_ID: StaticArray<u8> = [0x70, 0x61, 0x72, 0x65, 0x6e, 0x74, 0x5f, 0x69, 0x64];
const PERMALINK: StaticArray<u8> = [0x70, 0x65, 0x72, 0x6d, 0x61, 0x6c, 0x69, 0x6e, 0x6b];
const NUM_COMMENTS: StaticArray<u8> = [
  0x6e, 0x75, 0x6d, 0x5f, 0x63, 0x6f, 0x6d, 0x6d, 0x65, 0x6e, 0x74, 0x73,
];
const DELETED: StaticArray<u8> = [0x5b, 0x64, 0x65, 0x6c, 0x65, 0x74, 0x65, 0x64, 0x5d];

function commentField(key: usize, length: i32, value: usize): usize {
  if (length == 2 && isWord(key, ID)) {
    idStart = value + 1;
    return (idEnd = readString(value));
  }
  if (length == 4 && isWord(key, BODY)) {
    textStart = value + 1;
    return (textEnd = readString(value));
  }
  if (length == 5 && isWord(key, SCORE)) return readNumber(value);
  if (length == 6 && isWord(key, AUTHOR)) present |= 1;
  else if (length == 7 && isWord(key, LINK_ID)) {
    linkStart = value + 1;
    return (linkEnd = readString(value));
  } else if (length == 9 && isWord(key, PARENT_ID)) {
    parentStart = value + 1;
    return (parentEnd = readString(value));
  }
  return skipValue(value, 0);
}

function submissionField(key: usize, length: i32, value: usize): usize {
  if (length == 2 && isWord(key, ID)) {
    idStart = value + 1;
    return (idEnd = readString(value));
  }
  if (length == 5 && isWord(key, TITLE)) {
    textStart = value + 1;
    return (textEnd = readString(value));
  }
  if (length == 5 && isWord(key, SCORE)) present |= 1;
  else if (length == 6 && isWord(key, DOMAIN)) present |= 2;
  else if (length == 9 && isWord(key, PERMALINK)) {
    parentStart = value + 1;
    return (parentEnd = readString(value));
  } else if (length == 12 && isWord(key, NUM_COMMENTS)) return readNumber(value);
  return skipValue(value, 0);
}

/** Reads a whole number of at most 15 digits; `null` counts as 0 for a score. */
function readNumber(value: usize): usize {
  hasNumber = true;
  if (kind != SUBMISSIONS && isWord(value, NULL)) {
    number = 0;
    return value + 4;
  }
  const isNegative = load<u8>(value) == MINUS;
  const first = isNegative ? value + 1 : value;
  let whole: i64 = 0;
  let at = first;
  for (; isDigit(load<u8>(at)); at++) whole = whole * 10 + (load<u8>(at) - 0x30);
  const digits = at - first;
  const next = load<u8>(at);
  if (digits == 0 || digits > 15 || (digits > 1 && load<u8>(first) == 0x30)) return 0;
  if (next != COMMA && next != CLOSE_OBJECT) return 0;
  number = <f64>(isNegative ? -whole : whole);
  return at;
}

// What was found in the text copied last.
let wordCount: i32 = 0;
let characterCount: i32 = 0;
/** Whether it holds `>` or `&gt;`. */
let isQuoting: bool = false;

/**
 * Copies a text as reddit.py's `minimal_norm_sentence` leaves it, without white space at its end,
 * and returns the position after it. Counts as `len(text)` and `len(text.split())` do.
 */
function copyText(start: usize, end: usize, to: usize): usize {
  const spaces = i8x16.splat(SPACE);
  const backslashes = i8x16.splat(BACKSLASH);
  const greater = i8x16.splat(0x3e);
  const ampersands = i8x16.splat(0x26);
  let place = to;
  let visibleEnd = to;
  let inside: u32 = 0;
  let entity = 0;
  wordCount = 0;
  characterCount = 0;
  isQuoting = false;
  for (let at = start; at < end;) {
    const bytes = v128.load(at);
    // As signed numbers, what is not ASCII is below the space as well.
    const special = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.lt_s(bytes, spaces), i8x16.eq(bytes, backslashes)),
        v128.or(i8x16.eq(bytes, greater), i8x16.eq(bytes, ampersands)),
      ),
    );
    const plain = <u32>min<usize>(ctz(special | 0x10000), end - at);
    if (plain > 0 && entity == 0) {
      v128.store(place, bytes);
      const visible = ~i8x16.bitmask(i8x16.eq(bytes, spaces)) & ((1 << plain) - 1);
      wordCount += popcnt(visible & ~((visible << 1) | inside));
      inside = visible >>> (plain - 1);
      if (visible != 0) visibleEnd = place + 32 - clz(visible);
      characterCount += plain;
      place += plain;
      at += plain;
      continue;
    }
    let code = readCharacter(at);
    at = after;
    characterCount++;
    if (code == 0x3e) isQuoting = true;
    entity = nextOfEntity(entity, code);
    if (entity == 4) {
      isQuoting = true;
      entity = 0;
    }
    if (code == BACKSLASH) continue;
    if (code == 0x0a || code == 0x0d || code == 0x09) code = SPACE;
    place = writeCharacter(place, code);
    if (isSpace(code)) {
      inside = 0;
    } else {
      wordCount += 1 - inside;
      inside = 1;
      visibleEnd = place;
    }
  }
  return visibleEnd;
}

/** How much of `&gt;` has been seen after one more character. */
function nextOfEntity(seen: i32, code: u32): i32 {
  if (code == 0x26) return 1;
  if (seen == 1 && code == 0x67) return 2;
  if (seen == 2 && code == 0x74) return 3;
  return seen == 3 && code == 0x3b ? 4 : 0;
}

// ---- Rows ----------------------------------------------------------------------------------

/** `t3_` and `t1_`, as 32-bit numbers. */
const SUBMISSION_PREFIX: u32 = 0x5f3374;
const COMMENT_PREFIX: u32 = 0x5f3174;

/** Whether a key holds what ends a field or a line of the original's files. */
function breaksRow(start: usize, end: usize): bool {
  for (let at = start; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 9 || byte == 10 || byte == 13) return true;
  }
  return false;
}

function finishRow(thread: usize, threadEnd: usize, secondEnd: usize, thirdEnd: usize): void {
  let hash: u32 = 0x811c9dc5;
  for (let at = thread; at < threadEnd; at++) hash = (hash ^ load<u8>(at)) * 0x01000193;
  store<u32>(out, (hash ^ (hash >>> 15)) % partitions, KIND);
  store<u32>(out, <u32>(threadEnd - thread), FIRST);
  store<u32>(out, <u32>(secondEnd - threadEnd), SECOND);
  store<u32>(out, <u32>(thirdEnd - secondEnd), THIRD);
  keptCount++;
}

function writeSubmission(): void {
  if (!hasNumber) {
    brokenCount++;
    return;
  }
  if (number < 2) return;
  if (idStart == 0 || textStart == 0 || parentStart == 0 || present != 3) {
    brokenCount++;
    return;
  }
  const thread = out + HEADER;
  store<u32>(thread, SUBMISSION_PREFIX);
  const threadEnd = copyString(idStart, idEnd - 1, thread + 3);
  // The subreddit is the third part of the permalink.
  const linkEnd = copyString(parentStart, parentEnd - 1, threadEnd);
  let slashes = 0;
  let subreddit = threadEnd;
  for (; subreddit < linkEnd && slashes < 2; subreddit++) {
    if (load<u8>(subreddit) == SLASH) slashes++;
  }
  let length: usize = 0;
  if (slashes == 2) {
    while (subreddit + length < linkEnd && load<u8>(subreddit + length) != SLASH) length++;
  }
  memory.copy(threadEnd, subreddit, length);
  const subredditEnd = threadEnd + length;
  if (breaksRow(thread, subredditEnd)) {
    brokenCount++;
    return;
  }
  const end = copyText(textStart, textEnd - 1, subredditEnd);
  store<f64>(out, <f64>keptCount, NUMBER);
  finishRow(thread, threadEnd, subredditEnd, subredditEnd);
  store<u32>(out, <u32>(end - out), LENGTH);
  out = end;
}

function writeComment(): void {
  if (textStart == 0 || linkStart == 0) {
    brokenCount++;
    return;
  }
  const thread = out + HEADER;
  const threadEnd = copyString(linkStart, linkEnd - 1, thread);
  store<u32>(threadEnd, COMMENT_PREFIX);
  const idEndInRow = idStart == 0 ? threadEnd : copyString(idStart, idEnd - 1, threadEnd + 3);
  if (isKeyed && !keeps(thread, <i32>(threadEnd - thread), <i32>(idEndInRow - threadEnd))) return;
  const parentEndInRow =
    parentStart == 0 ? idEndInRow : copyString(parentStart, parentEnd - 1, idEndInRow);
  const end = copyText(textStart, textEnd - 1, parentEndInRow);
  const isDeleted =
    characterCount == 9 && end == parentEndInRow + 9 && isWord(parentEndInRow, DELETED);
  if (isDeleted || isQuoting) return;
  if (idStart == 0 || parentStart == 0 || present != 1 || !hasNumber) {
    brokenCount++;
    return;
  }
  if (wordCount < 2) return;
  if (breaksRow(thread, parentEndInRow)) {
    brokenCount++;
    return;
  }
  const isTooLong = (countsWords ? wordCount : characterCount) > maxLength;
  store<f64>(out, number, NUMBER);
  finishRow(thread, threadEnd, idEndInRow, parentEndInRow);
  const rowEnd = isTooLong ? parentEndInRow : end;
  store<u32>(out, <u32>(rowEnd - out), LENGTH);
  out = rowEnd;
}

/** Sorts the rows by partition, keeping their order, and returns where they went. */
function sortRows(): usize {
  memory.fill(ends, 0, (<usize>partitions) << 2);
  for (let row = rows; row < out; row += load<u32>(row, LENGTH)) {
    const counter = ends + ((<usize>load<u32>(row, KIND)) << 2);
    store<u32>(counter, load<u32>(counter) + load<u32>(row, LENGTH));
  }
  let total: u32 = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const counter = ends + ((<usize>partition) << 2);
    const length = load<u32>(counter);
    store<u32>(counter, total);
    total += length;
  }
  const sorted = out;
  makeRoom(sorted + total + PADDING);
  for (let row = rows; row < out;) {
    const length = load<u32>(row, LENGTH);
    const counter = ends + ((<usize>load<u32>(row, KIND)) << 2);
    const place = load<u32>(counter);
    store<u32>(row, kind, KIND);
    memory.copy(sorted + place, row, length);
    store<u32>(counter, place + length);
    row += length;
  }
  return sorted;
}
