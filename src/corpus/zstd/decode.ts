import xxhash, { type XXHash } from 'xxhash-wasm';
import { LARGEST_BLOCK, littleEndian, ZstdError } from './bits.js';
import { BlockDecoder } from './block.js';
import { Window } from './window.js';

const MAGIC = 0xfd2fb528;
const LARGEST_WINDOW = 2 ** 31;

/** Bytes that come in pieces, taken in the lengths that the format asks for. */
class Input {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #pending: Uint8Array = new Uint8Array(0);

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Whether there is nothing more. */
  async atEnd(): Promise<boolean> {
    return !(await this.#fill(1));
  }

  async take(length: number): Promise<Uint8Array> {
    if (!(await this.#fill(length))) throw new ZstdError('unexpected end of data');
    const bytes = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return bytes;
  }

  async #fill(length: number): Promise<boolean> {
    while (this.#pending.length < length) {
      const next = await this.#pieces.next();
      if (next.done === true) return false;
      this.#pending =
        this.#pending.length === 0 ? next.value : Buffer.concat([this.#pending, next.value]);
    }
    return true;
  }
}

/**
 * Decodes Zstandard (RFC 8878): any number of frames, windows up to 2 GiB, checksums verified, no
 * dictionaries.
 *
 * @throws ZstdError where the data ends too early or breaks the format's rules.
 */
export async function* decodeZstd(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const input = new Input(pieces);
  const hashes = await xxhash();
  while (!(await input.atEnd())) {
    const magic = littleEndian(await input.take(4), 0, 4);
    if (magic === MAGIC) {
      yield* decodeFrame(input, hashes.create64());
    } else if (Math.floor(magic / 16) === 0x184d2a5) {
      await input.take(littleEndian(await input.take(4), 0, 4));
    } else {
      throw new ZstdError('this is no Zstandard frame');
    }
  }
}

async function* decodeFrame(
  input: Input,
  hash: XXHash<bigint>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const { windowSize, contentSize, hasChecksum } = await readFrameHeader(input);
  let length = 0;
  const window = new Window(windowSize);
  const blocks = new BlockDecoder();
  for (let last = false; !last;) {
    const header = littleEndian(await input.take(3), 0, 3);
    last = (header & 1) === 1;
    const type = (header >>> 1) & 3;
    const size = header >>> 3;
    if (size > LARGEST_BLOCK) throw new ZstdError('a block is too long');
    window.reserve();
    if (type === 0) window.append(await input.take(size), 0, size);
    else if (type === 1) {
      const byte = await input.take(1);
      window.append(new Uint8Array(size).fill(byte[0] ?? 0), 0, size);
    } else if (type === 2) blocks.decode(await input.take(size), window);
    else throw new ZstdError('a block is of no known type');
    const content = window.take();
    length += content.length;
    if (hasChecksum) hash.update(content);
    if (content.length > 0) yield content;
  }
  if (contentSize !== undefined && length !== contentSize) {
    throw new ZstdError('a frame has another length');
  }
  if (!hasChecksum) return;
  const expected = littleEndian(await input.take(4), 0, 4);
  if (Number(hash.digest() & 0xffffffffn) !== expected) throw new ZstdError('the checksum differs');
}

interface FrameHeader {
  readonly windowSize: number;
  readonly contentSize: number | undefined;
  readonly hasChecksum: boolean;
}

/** RFC 8878, 3.1.1.1. */
async function readFrameHeader(input: Input): Promise<FrameHeader> {
  const descriptor = littleEndian(await input.take(1), 0, 1);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 4) !== 0;
  if ((descriptor & 8) !== 0) throw new ZstdError('a frame is of a later format');
  let windowSize = 0;
  if (!isSingleSegment) {
    const byte = littleEndian(await input.take(1), 0, 1);
    const base = 2 ** (10 + (byte >>> 3));
    windowSize = base + (base / 8) * (byte & 7);
  }
  const dictionaryLength = [0, 1, 2, 4][descriptor & 3] ?? 0;
  if (littleEndian(await input.take(dictionaryLength), 0, dictionaryLength) !== 0) {
    throw new ZstdError('a frame needs a dictionary');
  }
  const sizeLength = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const size = littleEndian(await input.take(sizeLength), 0, sizeLength);
  const contentSize = sizeLength === 0 ? undefined : sizeLength === 2 ? size + 256 : size;
  if (isSingleSegment) windowSize = contentSize ?? 0;
  if (windowSize > LARGEST_WINDOW) throw new ZstdError('a frame needs a window above 2 GiB');
  return { windowSize, contentSize, hasChecksum };
}
