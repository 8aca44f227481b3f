import { LARGEST_BLOCK, ZstdError } from './bits.js';

/** Matches shorter than this are copied byte by byte, which is then faster. */
const SHORT = 24;

/** The last bytes of a frame's content, as far back as matches may reach. */
export class Window {
  readonly #size: number;
  readonly #capacity: number;
  #bytes: Uint8Array;
  #length = 0;
  /** Where the content that was not taken yet begins. */
  #taken = 0;

  /** `size` is how far back matches may reach; memory grows with the content up to 1.25 of it. */
  constructor(size: number) {
    this.#size = size;
    this.#capacity = size + Math.max(size >>> 2, 8 * LARGEST_BLOCK);
    this.#bytes = new Uint8Array(Math.min(this.#capacity, 16 * LARGEST_BLOCK));
  }

  /** Makes room for one more block. */
  reserve(): void {
    if (this.#length + LARGEST_BLOCK <= this.#bytes.length) return;
    if (this.#bytes.length < this.#capacity) {
      const larger = new Uint8Array(Math.min(this.#capacity, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    } else {
      const start = this.#length - this.#size;
      this.#bytes.copyWithin(0, start, this.#length);
      this.#length -= start;
      this.#taken -= start;
    }
  }

  /** Appends `bytes[start, end)`. */
  append(bytes: Uint8Array, start: number, end: number): void {
    this.#check(end - start);
    const target = this.#bytes;
    let position = this.#length;
    if (end - start < SHORT) {
      for (let index = start; index < end; index++) target[position++] = bytes[index] ?? 0;
    } else {
      target.set(bytes.subarray(start, end), position);
    }
    this.#length += end - start;
  }

  /** Appends what stands `offset` bytes back, `count` bytes, which may reach into themselves. */
  repeat(offset: number, count: number): void {
    if (offset <= 0 || offset > this.#length) throw new ZstdError('a match reaches too far back');
    this.#check(count);
    const target = this.#bytes;
    const start = this.#length - offset;
    if (count >= SHORT && offset >= count) {
      target.copyWithin(this.#length, start, start + count);
    } else {
      let position = this.#length;
      for (let index = start; index < start + count; index++)
        target[position++] = target[index] ?? 0;
    }
    this.#length += count;
  }

  #check(count: number): void {
    if (this.#length + count > this.#bytes.length) throw new ZstdError('a block is too long');
  }

  /** A copy of what was appended since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const content = this.#bytes.slice(this.#taken, this.#length);
    this.#taken = this.#length;
    return new Uint8Array(content);
  }
}
