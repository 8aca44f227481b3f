import { at } from '../base/arrays.js';
import { readDecompressed } from './decompress.js';
import { pythonTrimEnd } from './python-text.js';

/** Two words for each place of the table; both zero where the place is free. */
const WORDS_PER_PLACE = 2;

/**
 * A set of strings that many threads can look into: a table of 64-bit hashes in shared memory.
 * A month's keys are tens of millions, which as strings would not fit. Two strings of the same
 * hash are taken for one, which for 10⁷ keys happens once in 10⁵ months.
 */
export class KeySet {
  readonly #table: Uint32Array;
  readonly #mask: number;

  /** A set over a table that {@link KeySet.table} gave. */
  constructor(table: Uint32Array) {
    this.#table = table;
    this.#mask = table.length / WORDS_PER_PLACE - 1;
  }

  /** The table, to be posted to a thread. */
  get table(): Uint32Array {
    return this.#table;
  }

  static of(keys: readonly string[]): KeySet {
    const hashes = new Uint32Array(keys.length * WORDS_PER_PLACE);
    keys.forEach((key, index) => {
      const [high, low] = hash(key);
      hashes[index * WORDS_PER_PLACE] = high;
      hashes[index * WORDS_PER_PLACE + 1] = low;
    });
    return KeySet.#fromHashes(hashes);
  }

  static #fromHashes(hashes: Uint32Array): KeySet {
    const count = hashes.length / WORDS_PER_PLACE;
    const places = 2 ** Math.ceil(Math.log2(Math.max(2, count * 1.5)));
    const bytes = places * WORDS_PER_PLACE * Uint32Array.BYTES_PER_ELEMENT;
    const set = new KeySet(new Uint32Array(new SharedArrayBuffer(bytes)));
    for (let index = 0; index < count; index++) {
      const high = at(hashes, index * WORDS_PER_PLACE);
      const low = at(hashes, index * WORDS_PER_PLACE + 1);
      const place = set.#find(high, low);
      set.#table[place] = high;
      set.#table[place + 1] = low;
    }
    return set;
  }

  /**
   * Reads a key file of the original: gzipped (or otherwise compressed, or plain) text, a key a
   * line.
   */
  static async read(path: string): Promise<KeySet> {
    let hashes = new Uint32Array(1 << 12);
    let length = 0;
    const add = (line: string): void => {
      if (length === hashes.length) {
        const larger = new Uint32Array(length * 2);
        larger.set(hashes);
        hashes = larger;
      }
      const [high, low] = hash(pythonTrimEnd(line));
      hashes[length++] = high;
      hashes[length++] = low;
    };
    const decoder = new TextDecoder();
    let pending = '';
    for await (const piece of readDecompressed(path)) {
      const lines = (pending + decoder.decode(piece, { stream: true })).split('\n');
      pending = lines.pop() ?? '';
      lines.forEach(add);
    }
    if (pending !== '') add(pending);
    return KeySet.#fromHashes(hashes.subarray(0, length));
  }

  has(key: string): boolean {
    const [high, low] = hash(key);
    const place = this.#find(high, low);
    return this.#table[place] !== 0 || this.#table[place + 1] !== 0;
  }

  /** Where this hash stands, or the free place where it would. */
  #find(high: number, low: number): number {
    let place = low & this.#mask;
    for (;;) {
      const index = place * WORDS_PER_PLACE;
      const [storedHigh, storedLow] = [this.#table[index], this.#table[index + 1]];
      if (storedHigh === high && storedLow === low) return index;
      if (storedHigh === 0 && storedLow === 0) return index;
      place = (place + 1) & this.#mask;
    }
  }
}

/** A 64-bit hash of a string in two words, never both zero. */
function hash(text: string): readonly [number, number] {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    high = Math.imul(high ^ code, 0x9e3779b1);
    low = Math.imul(low ^ code, 0x5f356495);
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return [high >>> 0, (low | 1) >>> 0];
}
