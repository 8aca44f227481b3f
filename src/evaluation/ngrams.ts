import { at } from '../base/arrays.js';

/** The longest n-grams that the metrics look at. */
export const LONGEST_NGRAM = 4;

/** The number that stands for the n-gram of no word. */
export const EMPTY_NGRAM = 0;

/**
 * Numbers n-grams: each is known by the number of the n-gram that lacks its last word, and that
 * word. A hash table in typed arrays, as a Map of millions of small entries is several times
 * slower.
 */
export class NgramNumbers {
  #capacity = 1 << 16;
  #slots = new Int32Array(this.#capacity);
  #prefixes = new Int32Array(this.#capacity);
  #words = new Int32Array(this.#capacity);
  #count = 1;

  /** How many numbers are taken; numbers are below it. */
  get size(): number {
    return this.#count;
  }

  /** The n-gram without its last word. */
  prefixOf(ngram: number): number {
    return at(this.#prefixes, ngram);
  }

  /** The n-gram's last word. */
  lastWordOf(ngram: number): number {
    return at(this.#words, ngram);
  }

  /** The number of `prefix` followed by `word`, or −1 where it has none. */
  find(prefix: number, word: number): number {
    const ngram = this.#slots[this.#slotOf(prefix, word)] ?? 0;
    return ngram === 0 ? -1 : ngram;
  }

  /** The number of `prefix` followed by `word`; a new one where it has none. */
  add(prefix: number, word: number): number {
    const slot = this.#slotOf(prefix, word);
    const known = this.#slots[slot] ?? 0;
    if (known !== 0) return known;
    const ngram = this.#count++;
    this.#slots[slot] = ngram;
    this.#prefixes[ngram] = prefix;
    this.#words[ngram] = word;
    if (this.#count * 2 > this.#capacity) this.#grow();
    return ngram;
  }

  /** The slot that holds the n-gram, or the free one where it belongs. */
  #slotOf(prefix: number, word: number): number {
    const mask = this.#capacity - 1;
    let hash = Math.imul(prefix, 0x9e3779b1) ^ Math.imul(word + 1, 0x85ebca77);
    hash ^= hash >>> 15;
    let slot = hash & mask;
    for (;;) {
      const ngram = this.#slots[slot] ?? 0;
      if (ngram === 0 || (this.#prefixes[ngram] === prefix && this.#words[ngram] === word)) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    this.#capacity *= 2;
    const prefixes = new Int32Array(this.#capacity);
    const words = new Int32Array(this.#capacity);
    prefixes.set(this.#prefixes);
    words.set(this.#words);
    this.#prefixes = prefixes;
    this.#words = words;
    this.#slots = new Int32Array(this.#capacity);
    for (let ngram = 1; ngram < this.#count; ngram++) {
      this.#slots[this.#slotOf(at(prefixes, ngram), at(words, ngram))] = ngram;
    }
  }
}

/**
 * Calls `visit` with each n-gram of a sentence, of 1 to {@link LONGEST_NGRAM} words; those that
 * `step` gives −1 for, and all that begin with them, are left out.
 */
export function forEachNgram(
  words: Int32Array,
  step: (prefix: number, word: number) => number,
  visit: (ngram: number, order: number) => void,
): void {
  for (let start = 0; start < words.length; start++) {
    let ngram = EMPTY_NGRAM;
    const end = Math.min(words.length, start + LONGEST_NGRAM);
    for (let index = start; index < end; index++) {
      ngram = step(ngram, words[index] ?? 0);
      if (ngram < 0) break;
      visit(ngram, index - start + 1);
    }
  }
}

/** Counts of n-grams that can be emptied in the time it took to fill them. */
export class NgramCounts {
  #counts: Int32Array;
  readonly #seen: number[] = [];

  constructor(size: number) {
    this.#counts = new Int32Array(size);
  }

  /** The different n-grams counted, in the order in which they came. */
  get seen(): readonly number[] {
    return this.#seen;
  }

  of(ngram: number): number {
    return this.#counts[ngram] ?? 0;
  }

  add(ngram: number): void {
    const count = this.of(ngram);
    if (count === 0) this.#seen.push(ngram);
    this.#counts[ngram] = count + 1;
  }

  /** Raises the count to at least `count`. */
  raise(ngram: number, count: number): void {
    const before = this.of(ngram);
    if (before === 0) this.#seen.push(ngram);
    if (count > before) this.#counts[ngram] = count;
  }

  clear(): void {
    for (const ngram of this.#seen) this.#counts[ngram] = 0;
    this.#seen.length = 0;
  }
}
