// AssemblyScript: JSON as dumps are written. Each function takes the position where something
// begins and returns the one after it, or 0 where it is out of the ordinary.

import { isDigit, writeCharacter } from './characters.asc';

export const SPACE: u8 = 0x20;
export const QUOTE: u8 = 0x22;
export const COMMA: u8 = 0x2c;
export const MINUS: u8 = 0x2d;
const DOT: u8 = 0x2e;
export const SLASH: u8 = 0x2f;
export const COLON: u8 = 0x3a;
const OPEN_LIST: u8 = 0x5b;
export const BACKSLASH: u8 = 0x5c;
const CLOSE_LIST: u8 = 0x5d;
export const OPEN_OBJECT: u8 = 0x7b;
export const CLOSE_OBJECT: u8 = 0x7d;

/** Whether a string skipped since the last {@link expectPlain} has escapes. */
export let escaped: bool = false;

/** What is skipped from here on is watched for escapes. */
export function expectPlain(): void {
  escaped = false;
}

/** Whether a word stands at `start`. */
export function isWord(start: usize, word: StaticArray<u8>): bool {
  return memory.compare(start, changetype<usize>(word), word.length) == 0;
}

export const NULL: StaticArray<u8> = [0x6e, 0x75, 0x6c, 0x6c];
const TRUE: StaticArray<u8> = [0x74, 0x72, 0x75, 0x65];
const FALSE: StaticArray<u8> = [0x66, 0x61, 0x6c, 0x73, 0x65];

/** The position after a string, or 0 where the value is none. */
export function readString(value: usize): usize {
  return load<u8>(value) == QUOTE ? skipString(value + 1) : 0;
}

/** How deep lists and objects are followed. */
const DEEPEST: i32 = 16;

/** The position after a value, or 0. */
export function skipValue(value: usize, depth: i32): usize {
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
export function skipString(start: usize): usize {
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

/** Where the character after the one that was read last begins. */
export let after: usize = 0;

/** Reads a character of a string that was found in order: plain, in UTF-8, or an escape. */
export function readCharacter(at: usize): u32 {
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
export function copyString(start: usize, end: usize, to: usize): usize {
  let place = to;
  for (let at = start; at < end; at = after) place = writeCharacter(place, readCharacter(at));
  return place;
}
