import { at } from '../base/arrays.js';

/** Byte strings of one buffer, each under an owner, numbered from 0 as they come. */
export class BytesTable {
  readonly #bytes: Uint8Array;
  /** One more than the number that stands in each place; 0 where the place is free. */
  #places = new Int32Array(1 << 10);
  #starts = new Int32Array(1 << 9);
  #lengths = new Int32Array(1 << 9);
  #owners = new Int32Array(1 << 9);
  #hashes = new Int32Array(1 << 9);
  #size = 0;

  /** @param bytes where all strings lie; fewer than 2 GiB */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How many strings there are. */
  get size(): number {
    return this.#size;
  }

  /** The number of a string, or −1 where it was not added under this owner. */
  find(start: number, length: number, owner: number): number {
    return (
      (this.#places[this.#placeOf(start, length, owner, this.#hash(start, length, owner))] ?? 0) - 1
    );
  }

  /** Adds a string, if it is not there, and returns its number. */
  add(start: number, length: number, owner: number): number {
    const hash = this.#hash(start, length, owner);
    const place = this.#placeOf(start, length, owner, hash);
    const found = (this.#places[place] ?? 0) - 1;
    if (found >= 0) return found;
    const number = this.#size++;
    if (number === this.#starts.length) this.#grow();
    this.#starts[number] = start;
    this.#lengths[number] = length;
    this.#owners[number] = owner;
    this.#hashes[number] = hash;
    this.#places[place] = number + 1;
    if (this.#size * 2 > this.#places.length) this.#spread();
    return number;
  }

  #placeOf(start: number, length: number, owner: number, hash: number): number {
    const mask = this.#places.length - 1;
    let place = hash & mask;
    for (;;) {
      const number = (this.#places[place] ?? 0) - 1;
      if (number < 0) return place;
      if (this.#hashes[number] === hash && this.#equals(number, start, length, owner)) return place;
      place = (place + 1) & mask;
    }
  }

  #equals(number: number, start: number, length: number, owner: number): boolean {
    if (this.#lengths[number] !== length || this.#owners[number] !== owner) return false;
    const bytes = this.#bytes;
    const other = at(this.#starts, number);
    for (let index = 0; index < length; index++) {
      if (bytes[start + index] !== bytes[other + index]) return false;
    }
    return true;
  }

  #hash(start: number, length: number, owner: number): number {
    const bytes = this.#bytes;
    let hash = Math.imul(owner + 1, 0x9e3779b1);
    for (let index = start; index < start + length; index++) {
      hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
    }
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x85ebca6b);
    return hash ^ (hash >>> 13);
  }

  #grow(): void {
    this.#starts = doubled(this.#starts);
    this.#lengths = doubled(this.#lengths);
    this.#owners = doubled(this.#owners);
    this.#hashes = doubled(this.#hashes);
  }

  /** Gives the numbers places in a table twice as large. */
  #spread(): void {
    const places = new Int32Array(this.#places.length * 2);
    const mask = places.length - 1;
    for (let number = 0; number < this.#size; number++) {
      let place = at(this.#hashes, number) & mask;
      while (places[place] !== 0) place = (place + 1) & mask;
      places[place] = number + 1;
    }
    this.#places = places;
  }
}

/** The same numbers in an array twice as long. */
export function doubled(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(numbers.length * 2);
  larger.set(numbers);
  return larger;
}
