import { at } from './arrays.js';

/**
 * A small seeded random number generator (sfc32: three words of state and a counter), so that
 * everything that draws numbers can be repeated and its state saved in four integers.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9 | 0;
    this.#counter = 1;
    // The first numbers of neighbouring seeds resemble each other; after twelve they do not.
    for (let round = 0; round < 12; round++) this.uint32();
  }

  /** The state, to be given to {@link Random.restore}. */
  get state(): readonly number[] {
    return [this.#a, this.#b, this.#c, this.#counter];
  }

  /** A generator that goes on exactly where the one with this state stood. */
  static restore(state: readonly number[]): Random {
    const random = new Random(0);
    random.#a = at(state, 0) | 0;
    random.#b = at(state, 1) | 0;
    random.#c = at(state, 2) | 0;
    random.#counter = at(state, 3) | 0;
    return random;
  }

  /** A whole number from 0 to 2³² − 1. */
  uint32(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** A number from 0 (included) to 1 (excluded), with 53 random bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** A whole number from 0 (included) to `limit` (excluded). */
  below(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** A number from the standard normal distribution (Box and Muller's transform). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles `items` in place (Fisher and Yates) and returns them. */
  shuffle<T extends number | string | object>(items: T[]): T[] {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      const item = at(items, last);
      items[last] = at(items, other);
      items[other] = item;
    }
    return items;
  }
}
