import { at } from '../base/arrays.js';

/** What a word begins as; a space before one of the first three belongs to it. */
const LETTER = 1;
const DIGIT = 2;
const OTHER = 3;
const SPACE = 4;

/** The kind of each ASCII character. */
const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[A-Za-z]/.test(character)) return LETTER;
  if (/[0-9]/.test(character)) return DIGIT;
  return /[\t-\r ]/.test(character) ? SPACE : OTHER;
});

const BLANK = 0x20;
const APOSTROPHE = 0x27;

/** Whether all of a text is ASCII. */
export function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false;
  return true;
}

/** Where the word of an ASCII text ends that begins at `start`, as `WORD_PATTERN` cuts it. */
export function endOfWord(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === APOSTROPHE) {
    const length = contractionLength(text, start + 1);
    if (length > 0) return start + 1 + length;
  }
  const begin = first === BLANK && start + 1 < text.length ? start + 1 : start;
  const kind = KINDS[text.charCodeAt(begin)];
  let end = begin + 1;
  if (kind !== SPACE) {
    while (end < text.length && KINDS[text.charCodeAt(end)] === kind) end++;
    return end;
  }
  end = start + 1;
  while (end < text.length && KINDS[text.charCodeAt(end)] === SPACE) end++;
  // The last space of several before a word is left to that word.
  return end < text.length && end > start + 1 ? end - 1 : end;
}

/** The length of `s`, `t`, `re`, `ve`, `m`, `ll` or `d` at a place; 0 where none stands there. */
function contractionLength(text: string, place: number): number {
  switch (text.charAt(place)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 1;
    case 'r':
    case 'v':
      return text.charAt(place + 1) === 'e' ? 2 : 0;
    case 'l':
      return text.charAt(place + 1) === 'l' ? 2 : 0;
    default:
      return 0;
  }
}

/** Longer words are not remembered, nor are those of more tokens. */
const LONGEST = 32;
const MOST_TOKENS = 6;
const MOST_WORDS = 1 << 17;
/** A word's numbers: its length, how many tokens it has, its letters four by four, its tokens. */
const RECORD = 16;
const LETTERS = 2;
const TOKENS = LETTERS + LONGEST / 4;
/** Two numbers a place: a word's hash, and its number plus one, or 0 where there is no word. */
const TABLE = MOST_WORDS * 4 * 2;

/**
 * The tokens of ASCII words met so far. It looks a word up where it stands in its text, without
 * making a string of it, in two places of memory, and forgets all when it is full.
 */
export class WordTokens {
  readonly #table = new Int32Array(TABLE);
  readonly #records = new Int32Array(MOST_WORDS * RECORD);
  readonly #letters = new Int32Array(LONGEST / 4);
  readonly #encode: (word: string) => readonly number[];
  #count = 0;

  /** @param encode gives the tokens of a word that has not been met */
  constructor(encode: (word: string) => readonly number[]) {
    this.#encode = encode;
  }

  /** Appends to `ids` the tokens of the word of `text` from `start` to `end`. */
  append(ids: number[], text: string, start: number, end: number): void {
    const length = end - start;
    if (length > LONGEST) {
      for (const id of this.#encode(text.slice(start, end))) ids.push(id);
      return;
    }
    const hash = this.#takeLetters(text, start, end);
    let place = (hash << 1) & (TABLE - 1);
    for (;;) {
      const number = at(this.#table, place + 1);
      if (number === 0) break;
      const record = (number - 1) * RECORD;
      if (this.#table[place] === hash && this.#isWord(record, length)) {
        const last = record + TOKENS + at(this.#records, record + 1);
        for (let token = record + TOKENS; token < last; token++) ids.push(at(this.#records, token));
        return;
      }
      place = (place + 2) & (TABLE - 1);
    }
    const tokens = this.#encode(text.slice(start, end));
    for (const id of tokens) ids.push(id);
    if (tokens.length <= MOST_TOKENS) this.#add(length, tokens, hash, place);
  }

  /** Packs the word's letters, and returns their hash. */
  #takeLetters(text: string, start: number, end: number): number {
    let hash = end - start;
    let packed = 0;
    let four = 0;
    for (let index = start; index < end; index++) {
      const place = (index - start) & 3;
      packed |= text.charCodeAt(index) << (place << 3);
      if (place < 3 && index + 1 < end) continue;
      this.#letters[four++] = packed;
      hash = Math.imul(hash ^ packed, 0x9e3779b1);
      hash ^= hash >>> 15;
      packed = 0;
    }
    return hash;
  }

  #isWord(record: number, length: number): boolean {
    if (this.#records[record] !== length) return false;
    for (let four = 0; four * 4 < length; four++) {
      if (this.#records[record + LETTERS + four] !== this.#letters[four]) return false;
    }
    return true;
  }

  #add(length: number, tokens: readonly number[], hash: number, place: number): void {
    if (this.#count === MOST_WORDS) {
      this.#count = 0;
      this.#table.fill(0);
      place = (hash << 1) & (TABLE - 1);
    }
    const record = this.#count * RECORD;
    this.#records[record] = length;
    this.#records[record + 1] = tokens.length;
    this.#records.set(this.#letters, record + LETTERS);
    this.#records.set(tokens, record + TOKENS);
    this.#count += 1;
    this.#table[place] = hash;
    this.#table[place + 1] = this.#count;
  }
}
