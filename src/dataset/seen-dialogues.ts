import xxhash from 'xxhash-wasm';
import { at } from '../base/arrays.js';

/** When two dialogues are the same: byte for byte, or but for case, punctuation and spaces. */
export const DEDUPLICATIONS = ['exact', 'near'] as const;

/** One of {@link DEDUPLICATIONS}. */
export type Deduplication = (typeof DEDUPLICATIONS)[number];

type Hash = (bytes: Uint8Array, seed: number) => number;

const TAB = 9;
/** How the key that `data extract` writes before a dialogue begins: `t3_`. */
const KEY_START = [0x74, 0x33, 0x5f];

/**
 * The dialogues met so far, as a table of 64-bit hashes: 11 to 22 bytes each, so that the full
 * Reddit corpus takes 2 GB. Two different dialogues of the same hash are taken for one, which
 * happens once in 1,700 corpora of that size.
 */
export class SeenDialogues {
  readonly #near: boolean;
  readonly #hash: Hash;
  #table = new Uint32Array(1 << 13);
  #count = 0;

  private constructor(deduplication: Deduplication, hash: Hash) {
    this.#near = deduplication === 'near';
    this.#hash = hash;
  }

  /** An empty table. */
  static async create(deduplication: Deduplication): Promise<SeenDialogues> {
    const hashes = await xxhash();
    return new SeenDialogues(deduplication, (bytes, seed) => hashes.h32Raw(bytes, seed));
  }

  /**
   * Notes the dialogue of a line of the corpus; its key, if it has one, does not count.
   *
   * @returns whether it is new
   */
  add(line: Uint8Array): boolean {
    const dialogue = withoutKey(line);
    const content = this.#near ? lettersOf(dialogue) : dialogue;
    const high = this.#hash(content, 0);
    // Both words zero mean that a place is free.
    const low = this.#hash(content, 1) || 1;
    if (!this.#insert(this.#table, high, low)) return false;
    this.#count += 1;
    if (this.#count > this.#table.length / 2 / 1.5) this.#grow();
    return true;
  }

  #insert(table: Uint32Array, high: number, low: number): boolean {
    const mask = table.length - 1;
    for (let place = (low << 1) & mask; ; place = (place + 2) & mask) {
      const there = at(table, place + 1);
      if (there === 0) {
        table[place] = high;
        table[place + 1] = low;
        return true;
      }
      if (there === low && table[place] === high) return false;
    }
  }

  #grow(): void {
    const table = new Uint32Array(this.#table.length * 2);
    for (let place = 0; place < this.#table.length; place += 2) {
      const low = at(this.#table, place + 1);
      if (low !== 0) this.#insert(table, at(this.#table, place), low);
    }
    this.#table = table;
  }
}

/** The columns of context and response, where a key stands before them. */
function withoutKey(line: Uint8Array): Uint8Array {
  if (!KEY_START.every((byte, place) => line[place] === byte)) return line;
  const first = line.indexOf(TAB);
  const second = first < 0 ? -1 : line.indexOf(TAB, first + 1);
  return second < 0 ? line : line.subarray(first + 1);
}

/** The letters and digits of a text, ASCII letters as small ones; the rest of Unicode counts too. */
function lettersOf(line: Uint8Array): Uint8Array {
  const letters = new Uint8Array(line.length);
  let length = 0;
  for (const byte of line) {
    const small = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    const counts = (small >= 0x61 && small <= 0x7a) || (small >= 0x30 && small <= 0x39);
    if (counts || small >= 0x80 || small === TAB) letters[length++] = small;
  }
  return letters.subarray(0, length);
}
