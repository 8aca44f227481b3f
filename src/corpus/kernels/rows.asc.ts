// AssemblyScript, compiled to WebAssembly with SIMD: the first step of the extraction, from the
// lines of a dump to rows (their layout and meaning are told in `../dump-rows.ts`). It reads JSON
// as dumps are written and follows reddit.py's `extract_submissions` and `extract_comments`. What
// is out of the ordinary is handed to `mend`, which answers with the same line in ordinary form.

import { isDigit, isSpace, makeRoom, writeCharacter } from './characters.asc';

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
const SPACE: u8 = 0x20;
const QUOTE: u8 = 0x22;
const COMMA: u8 = 0x2c;
const MINUS: u8 = 0x2d;
const DOT: u8 = 0x2e;
const SLASH: u8 = 0x2f;
const COLON: u8 = 0x3a;
const OPEN_LIST: u8 = 0x5b;
const BACKSLASH: u8 = 0x5c;
const CLOSE_LIST: u8 = 0x5d;
const OPEN_OBJECT: u8 = 0x7b;
const CLOSE_OBJECT: u8 = 0x7d;

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

// ---- JSON ----------------------------------------------------------------------------------

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

/** Whether the string read last has escapes. */
let escaped: bool = false;

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
    escaped = false;
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

function isWord(start: usize, word: StaticArray<u8>): bool {
  return memory.compare(start, changetype<usize>(word), word.length) == 0;
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
const NULL: StaticArray<u8> = [0x6e, 0x75, 0x6c, 0x6c];
const TRUE: StaticArray<u8> = [0x74, 0x72, 0x75, 0x65];
const FALSE: StaticArray<u8> = [0x66, 0x61, 0x6c, 0x73, 0x65];
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

/** The position after a string, or 0 where the value is none. */
function readString(value: usize): usize {
  return load<u8>(value) == QUOTE ? skipString(value + 1) : 0;
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

/** How deep lists and objects are followed. */
const DEEPEST: i32 = 16;

/** The position after a value, or 0. */
function skipValue(value: usize, depth: i32): usize {
  const first = load<u8>(value);
  if (first == QUOTE) return skipString(value + 1);
  if (first == 0x6e) return isWord(value, NULL) ? value + 4 : 0;
  if (first == 0x74) return isWord(value, TRUE) ? value + 4 : 0;
  if (first == 0x66) return isWord(value, FALSE) ? value + 5 : 0;
  if (first != OPEN_LIST && first != OPEN_OBJECT) return skipNumber(value);
  if (depth == DEEPEST) return 0;
  const close = first == OPEN_LIST ? CLOSE_LIST : CLOSE_OBJECT;
  let at = value + 1;
  if (load<u8>(at) == close) return at + 1;
  while (true) {
    if (close == CLOSE_OBJECT) {
      at = readString(at);
      if (at == 0 || load<u8>(at) != COLON) return 0;
      at += load<u8>(at + 1) == SPACE ? 2 : 1;
    }
    at = skipValue(at, depth + 1);
    if (at == 0) return 0;
    const next = load<u8>(at);
    if (next == close) return at + 1;
    if (next != COMMA) return 0;
    at += load<u8>(at + 1) == SPACE ? 2 : 1;
  }
}

/** The position after a number with neither leading zeros nor an exponent, or 0. */
function skipNumber(value: usize): usize {
  const first = load<u8>(value) == MINUS ? value + 1 : value;
  const end = skipDigits(first);
  if (end == first || (load<u8>(first) == 0x30 && end > first + 1)) return 0;
  if (load<u8>(end) != DOT) return end;
  const fractionEnd = skipDigits(end + 1);
  return fractionEnd > end + 1 ? fractionEnd : 0;
}

function skipDigits(start: usize): usize {
  let at = start;
  while (isDigit(load<u8>(at))) at++;
  return at;
}

/** The position after the string whose characters begin at `start`, or 0. */
function skipString(start: usize): usize {
  const quotes = i8x16.splat(QUOTE);
  const backslashes = i8x16.splat(BACKSLASH);
  const spaces = i8x16.splat(SPACE);
  let at = start;
  while (true) {
    const bytes = v128.load(at);
    const stops = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(bytes, quotes), i8x16.eq(bytes, backslashes)),
        i8x16.lt_u(bytes, spaces),
      ),
    );
    if (stops == 0) {
      at += 16;
      continue;
    }
    at += ctz(stops);
    const stop = load<u8>(at);
    if (stop == QUOTE) return at + 1;
    if (stop != BACKSLASH) return 0;
    escaped = true;
    at = skipEscape(at + 1);
    if (at == 0) return 0;
  }
}

/** The position after the escape whose letter is at `at`, or 0. */
function skipEscape(at: usize): usize {
  switch (load<u8>(at)) {
    case QUOTE:
    case BACKSLASH:
    case SLASH:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 1;
    case 0x75:
      return hexadecimal(at + 1) < 0 ? 0 : at + 5;
    default:
      return 0;
  }
}

/** Four hexadecimal digits' value, or −1. */
function hexadecimal(start: usize): i32 {
  let value = 0;
  for (let at = start; at < start + 4; at++) {
    const byte = load<u8>(at);
    const letter = (byte | 0x20) - 0x61;
    if (isDigit(byte)) value = (value << 4) | (byte - 0x30);
    else if (letter < 6) value = (value << 4) | (letter + 10);
    else return -1;
  }
  return value;
}

// ---- Text ----------------------------------------------------------------------------------

/** Where the character after the one that was read last begins. */
let after: usize = 0;

/** Reads a character of a string that was found in order: plain, in UTF-8, or an escape. */
function readCharacter(at: usize): u32 {
  const first = <u32>load<u8>(at);
  if (first == BACKSLASH) return readEscape(at + 1);
  if (first < 0x80) {
    after = at + 1;
    return first;
  }
  const second = (<u32>load<u8>(at + 1)) & 0x3f;
  if (first < 0xe0) {
    after = at + 2;
    return ((first & 0x1f) << 6) | second;
  }
  const third = (<u32>load<u8>(at + 2)) & 0x3f;
  if (first < 0xf0) {
    after = at + 3;
    return ((first & 0x0f) << 12) | (second << 6) | third;
  }
  after = at + 4;
  return ((first & 0x07) << 18) | (second << 12) | (third << 6) | (load<u8>(at + 3) & 0x3f);
}

function readEscape(at: usize): u32 {
  after = at + 1;
  const letter = <u32>load<u8>(at);
  switch (letter) {
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    case 0x75:
      break;
    default:
      return letter;
  }
  after = at + 5;
  const high = <u32>hexadecimal(at + 1);
  if ((high & 0xf800) != 0xd800) return high;
  // Half a surrogate pair is no character: what UTF-8 writes for it is U+FFFD.
  if (high >= 0xdc00 || load<u8>(at + 5) != BACKSLASH || load<u8>(at + 6) != 0x75) return 0xfffd;
  const low = <u32>hexadecimal(at + 7);
  if ((low & 0xfc00) != 0xdc00) return 0xfffd;
  after = at + 11;
  return 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
}

/** Copies a string's characters and returns the position after them. */
function copyString(start: usize, end: usize, to: usize): usize {
  let place = to;
  for (let at = start; at < end; at = after) place = writeCharacter(place, readCharacter(at));
  return place;
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
