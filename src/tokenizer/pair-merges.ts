import { at } from '../base/arrays.js';
import type { Vocabulary } from './vocabulary.js';

/**
 * The merges of a vocabulary by the ids of their two parts, to encode words that have not been met:
 * the pair that makes the lowest id is merged first, as in openai/gpt-2's `encoder.py`.
 */
export class PairMerges {
  readonly #idOfByte = new Int32Array(256);
  /** Three numbers a place: the left part, the right part and what they make; 0 is no token. */
  readonly #table: Int32Array;
  readonly #mask: number;

  private constructor(tokens: number) {
    const places = 2 ** Math.ceil(Math.log2(tokens * 3));
    this.#table = new Int32Array(places * 3);
    this.#mask = places - 1;
  }

  /** Undefined where a token is not made of two that come before it. */
  static of({ tokens }: Vocabulary): PairMerges | undefined {
    const merges = new PairMerges(tokens.length);
    for (const [id, bytes] of tokens.entries()) {
      if (bytes.length === 1) merges.#idOfByte[at(bytes, 0)] = id;
    }
    for (const [id, bytes] of tokens.entries()) {
      if (bytes.length < 2) continue;
      const parts = merges.encode(bytes);
      const [left, right] = parts;
      if (left === undefined || right === undefined || parts.length > 2) return undefined;
      merges.#add(left, right, id);
    }
    return merges;
  }

  /** The tokens of a word's bytes. Takes the square of their number in time. */
  encode(bytes: ArrayLike<number>): number[] {
    const parts: number[] = [];
    for (let index = 0; index < bytes.length; index++) {
      parts.push(at(this.#idOfByte, at(bytes, index)));
    }
    for (;;) {
      let lowest = Infinity;
      let place = -1;
      for (let index = 0; index + 1 < parts.length; index++) {
        const merged = this.#find(at(parts, index), at(parts, index + 1));
        if (merged === 0 || merged - 1 >= lowest) continue;
        lowest = merged - 1;
        place = index;
      }
      if (place < 0) return parts;
      parts[place] = lowest;
      for (let index = place + 1; index + 1 < parts.length; index++) {
        parts[index] = at(parts, index + 1);
      }
      parts.pop();
    }
  }

  #add(left: number, right: number, merged: number): void {
    let place = this.#placeOf(left, right);
    while (this.#table[place + 2] !== 0) place = this.#next(place);
    this.#table[place] = left;
    this.#table[place + 1] = right;
    this.#table[place + 2] = merged + 1;
  }

  /** What a pair makes, plus one; 0 where it makes nothing. */
  #find(left: number, right: number): number {
    for (let place = this.#placeOf(left, right); ; place = this.#next(place)) {
      const merged = at(this.#table, place + 2);
      if (merged === 0) return 0;
      if (this.#table[place] === left && this.#table[place + 1] === right) return merged;
    }
  }

  #placeOf(left: number, right: number): number {
    const hash = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b);
    return ((hash ^ (hash >>> 15)) & this.#mask) * 3;
  }

  #next(place: number): number {
    return place + 3 === this.#table.length ? 0 : place + 3;
  }
}
