// AssemblyScript, compiled to WebAssembly: the original's text normalisation, reddit.py's
// `gpt_norm_sentence`, and the part of NLTK's TweetTokenizer (3.4.1) that text can still reach
// after its filter.

import { isDigit, isLetter, isSpace, makeRoom } from './characters.asc';
import { tokenEnd } from './tokens.asc';

const SPACE: u8 = 0x20;
const HASH: u8 = 0x23;
const APOSTROPHE: u8 = 0x27;
const OPEN_ROUND: u8 = 0x28;
const CLOSE_ROUND: u8 = 0x29;
const COMMA: u8 = 0x2c;
const DOT: u8 = 0x2e;
const SLASH: u8 = 0x2f;
const COLON: u8 = 0x3a;
const OPEN_SQUARE: u8 = 0x5b;
const CLOSE_SQUARE: u8 = 0x5d;
const UNDERSCORE: u8 = 0x5f;

/** What stands for “ and ” in between. */
const OPEN_QUOTE: u8 = 1;
const CLOSE_QUOTE: u8 = 2;

const PADDING: usize = 64;

let input: usize = 0;
let inputEnd: usize = 0;
let words: usize = 0;
let plain: usize = 0;
let output: usize = 0;

/** Prepares for a text of `length` bytes (UTF-8) and returns where they go. */
export function prepare(length: i32): usize {
  // No step makes more of a text than this: " __url__" of "http", "__url__" of "URL", and a token
  // of each character.
  const most = (<usize>length + PADDING) * 3;
  // Behind zeros, for looks at the byte before.
  input = (__heap_base + PADDING) & ~15;
  inputEnd = input + length;
  words = inputEnd + PADDING;
  plain = words + most;
  output = plain + most;
  makeRoom(output + 2 * most);
  return input;
}

/** Where the normalised text is. */
export function outputAddress(): usize {
  return output;
}

/** Normalises the text, which `minimal_norm_sentence` has been through; the result's length. */
export function normalise(): i32 {
  clear(inputEnd);
  if (hasLinksOrTags()) {
    const wordsEnd = cutLinks();
    clear(wordsEnd);
    filter(words, wordsEnd);
  } else {
    filter(input, inputEnd);
  }
  clear(filtered);
  return <i32>(tokenise(filtered) - output);
}

/** Sixty-four zeros, so that nothing behind a text is taken for its continuation. */
function clear(at: usize): void {
  const zeros = i8x16.splat(0);
  v128.store(at, zeros);
  v128.store(at, zeros, 16);
  v128.store(at, zeros, 32);
  v128.store(at, zeros, 48);
}

// ---- Links and tags ------------------------------------------------------------------------

function hasLinksOrTags(): bool {
  const hashes = i8x16.splat(HASH);
  const toLower = i8x16.splat(0x20);
  const h = i8x16.splat(0x68);
  const t = i8x16.splat(0x74);
  for (let at = input; at < inputEnd; at += 16) {
    const bytes = v128.load(at);
    const starts = v128.and(
      i8x16.eq(v128.or(bytes, toLower), h),
      i8x16.eq(v128.or(v128.load(at, 1), toLower), t),
    );
    const seconds = i8x16.eq(v128.or(v128.load(at, 2), toLower), t);
    const found = v128.or(i8x16.eq(bytes, hashes), v128.and(starts, seconds));
    if (v128.any_true(found)) return true;
  }
  return false;
}

/** Copies the words but `#tags`, each cut where a link begins, set apart by single spaces. */
function cutLinks(): usize {
  let to = words;
  for (let at = input; at < inputEnd;) {
    const space = spaceLength(at);
    if (space > 0) {
      at += space;
      continue;
    }
    const isTag = load<u8>(at) == HASH;
    const start = at;
    let link: usize = 0;
    for (; at < inputEnd && spaceLength(at) == 0; at++) {
      if (link == 0 && isLink(at)) link = at;
    }
    if (isTag) continue;
    const end = link == 0 ? at : linkCut(start, link, at);
    memory.copy(to, start, end - start);
    to += end - start;
    if (link != 0) {
      store<u8>(to++, SPACE);
      to = writeUrl(to);
    }
    store<u8>(to++, SPACE);
  }
  return to;
}

/** The length of the white space (Python's) that begins at `at`, or 0. */
function spaceLength(at: usize): usize {
  const first = <u32>load<u8>(at);
  if (first < 0x80) return isSpace(first) ? 1 : 0;
  const second = (<u32>load<u8>(at + 1)) & 0x3f;
  if (first == 0xc2) return isSpace(0x80 | second) ? 2 : 0;
  if (first < 0xe1 || first > 0xe3) return 0;
  const third = (<u32>load<u8>(at + 2)) & 0x3f;
  return isSpace(((first & 0x0f) << 12) | (second << 6) | third) ? 3 : 0;
}

/** Whether "http" is at `at`, in whatever case. */
function isLink(at: usize): bool {
  return (load<u32>(at) | 0x20202020) == 0x70747468;
}

/**
 * Where the original cuts a word for the link in it: it takes the place in the lower-cased word for
 * the place in the word, though `İ` becomes two characters.
 */
function linkCut(start: usize, link: usize, end: usize): usize {
  let cut = link;
  for (let at = start; at < link; at++) {
    if (load<u8>(at) != 0xc4 || load<u8>(at + 1) != 0xb0 || cut == end) continue;
    cut++;
    while (cut < end && (load<u8>(cut) & 0xc0) == 0x80) cut++;
  }
  return cut;
}

// ---- The filter ----------------------------------------------------------------------------

function writeUrl(to: usize): usize {
  store<u64>(to, 0x5f5f6c72755f5f); // __url__
  return to + 7;
}

function writeMention(to: usize): usize {
  store<u64>(to, 0x6f69746e656d5f5f); // __mentio
  store<u32>(to + 8, 0x5f5f6e); // n__
  return to + 11;
}

function isMention(at: usize): bool {
  return (
    load<u64>(at) == 0x6f69746e656d5f5f && (load<u32>(at + 8) & 0xffffff) == 0x5f5f6e // n__
  );
}

function isUrl(at: usize): bool {
  return (load<u64>(at) & 0xffffffffffffff) == 0x5f5f6c72755f5f;
}

/** Where what has been filtered so far ends. */
let filtered: usize = 0;

/**
 * Writes out abbreviations, keeps `__mention__` and `__url__` (also where "MENTION" and "URL" were
 * written), and makes a space of what is not in the alphabet.
 */
function filter(start: usize, end: usize): void {
  filtered = plain;
  for (let at = start; at < end;) {
    const bytes = v128.load(at);
    const easy = <usize>ctz(~i8x16.bitmask(areEasy(bytes)));
    if (easy > 0) {
      const length = min(easy, end - at);
      v128.store(filtered, bytes);
      filtered += length;
      at += length;
      continue;
    }
    const byte = load<u8>(at);
    if (byte == SLASH) {
      at += expand(at - 1);
    } else if (byte == UNDERSCORE) {
      at += filterMark(at);
    } else if (byte < 0x80) {
      keep(isLetter(byte) || isAllowed(byte) ? byte : SPACE);
      at++;
    } else {
      const quote = load<u32>(at) & 0xffffff;
      if (quote == 0x9c80e2) keep(OPEN_QUOTE);
      else if (quote == 0x9d80e2) keep(CLOSE_QUOTE);
      else keep(SPACE);
      at++;
      while ((load<u8>(at) & 0xc0) == 0x80) at++;
    }
  }
}

/** Which of sixteen bytes stay as they are: spaces, digits, letters that end no "MENTION" or "URL". */
function areEasy(bytes: v128): v128 {
  const digits = i8x16.lt_u(i8x16.sub(bytes, i8x16.splat(0x30)), i8x16.splat(10));
  const ends = v128.or(i8x16.eq(bytes, i8x16.splat(0x4e)), i8x16.eq(bytes, i8x16.splat(0x4c)));
  return v128.or(
    v128.or(digits, i8x16.eq(bytes, i8x16.splat(SPACE))),
    v128.andnot(areLetters(bytes), ends),
  );
}

function areLetters(bytes: v128): v128 {
  const lower = v128.or(bytes, i8x16.splat(0x20));
  return i8x16.lt_u(i8x16.sub(lower, i8x16.splat(0x61)), i8x16.splat(26));
}

/** Whether a byte that is no letter is in the alphabet. */
function isAllowed(byte: u8): bool {
  return (
    isDigit(byte) ||
    byte == SPACE ||
    byte == DOT ||
    byte == COMMA ||
    byte == APOSTROPHE ||
    byte == 0x21 ||
    byte == 0x3f ||
    byte == COLON ||
    byte == OPEN_ROUND ||
    byte == CLOSE_ROUND ||
    byte == OPEN_SQUARE ||
    byte == CLOSE_SQUARE
  );
}

/**
 * Writes out the abbreviation whose letter, already kept, is at `at`, or makes a space of its
 * slash. Returns how much is done from the slash on.
 */
function expand(at: usize): usize {
  const three = load<u32>(at) & 0xffffff;
  if (three == 0x632f62) return replaceLetter('because', 2);
  if (three == 0x6b2f6a) return replaceLetter('just kidding', 2);
  if (three == 0x6f2f77) return replaceLetter('without', 2);
  if ((three & 0xffff) == 0x2f77) return replaceLetter('with', 1);
  keep(SPACE);
  return 1;
}

function replaceLetter(text: string, done: usize): usize {
  filtered--;
  return keepText(text, done);
}

function keepText(text: string, done: usize): usize {
  for (let index = 0; index < text.length; index++) keep(<u8>text.charCodeAt(index));
  return done;
}

/** Keeps the mark that begins with the `_` at `at`, or makes a space of that; its length. */
function filterMark(at: usize): usize {
  if (isMention(at)) return keepText('MENTION', 11);
  // The original looks for mentions first, and two marks may share their `__`.
  if (isUrl(at) && !isMention(at + 5)) return keepText('URL', 7);
  keep(SPACE);
  return 1;
}

/** Adds a character, unless it is the fourth in a row that is no letter, digit or space. */
function keep(byte: u8): void {
  const to = filtered;
  if (isLetter(byte)) {
    store<u8>(to, byte);
    filtered = to + 1;
    if (byte == 0x4e && to >= plain + 6 && isMentionWord(to - 6)) {
      filtered = to - 6;
      keepText('__mention__', 0);
    } else if (byte == 0x4c && to >= plain + 2 && isUrlWord(to - 2)) {
      filtered = to - 2;
      keepText('__url__', 0);
    }
    return;
  }
  if (byte != SPACE && !isDigit(byte) && to >= plain + 3) {
    const isFourth =
      load<u8>(to - 1) == byte && load<u8>(to - 2) == byte && load<u8>(to - 3) == byte;
    if (isFourth) return;
  }
  store<u8>(to, byte);
  filtered = to + 1;
}

function isMentionWord(at: usize): bool {
  return load<u32>(at) == 0x544e454d && load<u32>(at + 3) == 0x4e4f4954; // MENT, TION
}

function isUrlWord(at: usize): bool {
  return load<u16>(at) == 0x5255; // UR
}

// ---- Tokens --------------------------------------------------------------------------------

/** Writes the tokens, set apart by single spaces, and returns where they end. */
function tokenise(end: usize): usize {
  let to = output;
  for (let at = plain; at < end;) {
    if (load<u8>(at) == SPACE) {
      at++;
      continue;
    }
    const easy = easyWordsLength(at);
    if (easy > 0) {
      if (to > output) store<u8>(to++, SPACE);
      v128.store(to, v128.load(at));
      to += easy;
      at += easy;
      continue;
    }
    const stop = tokenEnd(at);
    if (to > output) store<u8>(to++, SPACE);
    for (; at < stop; at++) {
      const byte = load<u8>(at);
      if (byte <= CLOSE_QUOTE) {
        store<u32>(to, byte == OPEN_QUOTE ? 0x9c80e2 : 0x9d80e2);
        to += 3;
      } else if (byte != SPACE || load<u8>(to - 1) != SPACE) {
        // A telephone number, or dots that stand apart, may hold spaces in a row.
        store<u8>(to++, byte);
      }
    }
  }
  return to;
}

/** The length of words of letters alone, with single spaces between them and one behind them. */
function easyWordsLength(at: usize): usize {
  const bytes = v128.load(at);
  const spaces = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(SPACE)));
  const letters = i8x16.bitmask(areLetters(bytes));
  const others = ~(letters | (spaces & ~(spaces << 1)));
  // The words end before the last space that only letters and single spaces come before.
  const ends = spaces & ((1 << ctz(others)) - 1);
  return ends == 0 ? 0 : 31 - clz(ends);
}
