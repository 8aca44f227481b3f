/** Thrown where compressed data breaks the format's rules. */
export class ZstdError extends Error {
  override readonly name = 'ZstdError';
}

/** The longest a block may be, decompressed (RFC 8878, 3.1.1.2.4). */
export const LARGEST_BLOCK = 1 << 17;

/** A byte; 0 beyond the end. */
export function byteAt(bytes: Uint8Array, position: number): number {
  return bytes[position] ?? 0;
}

/** The position of the highest bit that is set, of a number above 0. */
export function highestBit(value: number): number {
  return 31 - Math.clz32(value);
}

/** Bits from the first byte on, lowest first (RFC 8878, 4.1.1). */
export class ForwardBits {
  readonly #bytes: Uint8Array;
  #position: number;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#position = start * 8;
  }

  /** The next `count` (at most 16) bits. */
  read(count: number): number {
    const byte = this.#position >>> 3;
    const word =
      byteAt(this.#bytes, byte) |
      (byteAt(this.#bytes, byte + 1) << 8) |
      (byteAt(this.#bytes, byte + 2) << 16);
    const value = (word >>> (this.#position & 7)) & ((1 << count) - 1);
    this.#position += count;
    return value;
  }

  /** Gives bits back. */
  rewind(count: number): void {
    this.#position -= count;
  }

  /** The first byte of which no bit was read. */
  get nextByte(): number {
    return (this.#position + 7) >>> 3;
  }
}

/** Bits from the last byte's highest set bit (a mark, not read) down to the first byte's lowest. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** Bits left; below 0 where more were read than there are, which then were zeros. */
  left: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    const last = end > start ? byteAt(bytes, end - 1) : 0;
    if (last === 0) throw new ZstdError('a bit stream has no end mark');
    this.#bytes = bytes;
    this.#start = start;
    this.left = (end - start - 1) * 8 + highestBit(last);
  }

  /** The next `count` (at most 31) bits. */
  read(count: number): number {
    if (count > 24) return this.read(count - 16) * 0x10000 + this.read(16);
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  /** The next `count` (at most 24) bits, which stay; zeros where there are no more. */
  peek(count: number): number {
    const from = this.left - count;
    if (from < 0) {
      return this.left > 0 ? (this.#at(0) & ((1 << this.left) - 1)) << -from : 0;
    }
    return (this.#at(from >>> 3) >>> (from & 7)) & ((1 << count) - 1);
  }

  #at(byte: number): number {
    const position = this.#start + byte;
    return (
      byteAt(this.#bytes, position) |
      (byteAt(this.#bytes, position + 1) << 8) |
      (byteAt(this.#bytes, position + 2) << 16) |
      (byteAt(this.#bytes, position + 3) << 24)
    );
  }
}

/** An unsigned number of `length` bytes, lowest first. */
export function littleEndian(bytes: Uint8Array, start: number, length: number): number {
  let value = 0;
  for (let index = length - 1; index >= 0; index--)
    value = value * 256 + byteAt(bytes, start + index);
  return value;
}
