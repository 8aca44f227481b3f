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

/** Longer words are not remembered. */
const LONGEST = 32;
const MOST_WORDS = 1 << 18;
/** Four places for each word keep the table sparse. */
const PLACES = MOST_WORDS * 4;
const NO_WORD = -1;

/**
 * The tokens of ASCII words met so far. It looks a word up where it stands in its text, without
 * making a string of it, and forgets all when it is full.
 */
export class WordTokens {
  /** The number of the word at each place of the table, plus one; 0 where there is none. */
  readonly #places = new Int32Array(PLACES);
  readonly #hashes = new Int32Array(MOST_WORDS);
  readonly #lengths = new Uint8Array(MOST_WORDS);
  readonly #letters = new Uint8Array(MOST_WORDS * LONGEST);
  readonly #tokens: (readonly number[])[] = [];
  readonly #encode: (word: string) => readonly number[];

  /** @param encode gives the tokens of a word that has not been met */
  constructor(encode: (word: string) => readonly number[]) {
    this.#encode = encode;
  }

  /** The tokens of the word of `text` from `start` to `end`. */
  get(text: string, start: number, end: number): readonly number[] {
    const length = end - start;
    if (length > LONGEST) return this.#encode(text.slice(start, end));
    let hash = length;
    for (let index = start; index < end; index++) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    }
    hash ^= hash >>> 15;
    let place = hash & (PLACES - 1);
    for (;;) {
      const word = at(this.#places, place) - 1;
      if (word === NO_WORD) break;
      if (this.#hashes[word] === hash && this.#isWord(word, text, start, length)) {
        return at(this.#tokens, word);
      }
      place = (place + 1) & (PLACES - 1);
    }
    return this.#add(text, start, length, hash, place);
  }

  #isWord(word: number, text: string, start: number, length: number): boolean {
    if (this.#lengths[word] !== length) return false;
    const letters = word * LONGEST;
    for (let index = 0; index < length; index++) {
      if (this.#letters[letters + index] !== text.charCodeAt(start + index)) return false;
    }
    return true;
  }

  #add(text: string, start: number, length: number, hash: number, place: number) {
    const tokens = this.#encode(text.slice(start, start + length));
    if (this.#tokens.length === MOST_WORDS) {
      this.#tokens.length = 0;
      this.#places.fill(0);
      place = hash & (PLACES - 1);
    }
    const word = this.#tokens.length;
    this.#tokens.push(tokens);
    this.#places[place] = word + 1;
    this.#hashes[word] = hash;
    this.#lengths[word] = length;
    for (let index = 0; index < length; index++) {
      this.#letters[word * LONGEST + index] = text.charCodeAt(start + index);
    }
    return tokens;
  }
}
