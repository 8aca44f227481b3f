import type { FileHandle } from 'node:fs/promises';
import { at, range } from '../base/arrays.js';
import { writeAll } from '../base/files.js';
import type { Rows } from './dump-rows.js';
import type { Extent } from './extract-tasks.js';

/** Shared memory is taken in pieces of this size. */
const CHUNK = 4 << 20;

/**
 * The rows of all partitions. They wait in memory until they are more than `memory` bytes; then each
 * partition's go to the end of a file together.
 */
export class RowStore {
  readonly #open: () => Promise<FileHandle>;
  #file: FileHandle | undefined;
  readonly #memory: number;
  readonly #extents: Extent[][];
  #pending: Pick<Rows, 'bytes' | 'ends'>[] = [];
  readonly #chunks: SharedArrayBuffer[] = [];
  /** The chunk that is being filled, how far it is, and the size of those before it. */
  #chunk = 0;
  #offset = 0;
  #used = 0;
  /** The size of the file. */
  #size = 0;

  /** @param open called once, when rows no longer fit in memory */
  constructor(open: () => Promise<FileHandle>, partitions: number, memory: number) {
    this.#open = open;
    this.#memory = memory;
    this.#extents = range(0, partitions).map(() => []);
  }

  /** Adds rows, which are copied, to every partition. */
  async add({ bytes, ends }: Pick<Rows, 'bytes' | 'ends'>): Promise<void> {
    if (this.#used + this.#offset + bytes.length > this.#memory) await this.flush();
    const copy = this.#room(bytes.length);
    copy.set(bytes);
    this.#pending.push({ bytes: copy, ends });
  }

  /** Takes so many bytes of shared memory, which is kept for later rows when these are written. */
  #room(length: number): Uint8Array {
    for (;;) {
      const chunk = this.#chunks[this.#chunk];
      if (chunk === undefined) {
        const size = Math.max(length, Math.min(CHUNK, this.#memory));
        this.#chunks.push(new SharedArrayBuffer(size));
      } else if (this.#offset + length <= chunk.byteLength) {
        const room = new Uint8Array(chunk, this.#offset, length);
        this.#offset += length;
        return room;
      } else {
        this.#used += chunk.byteLength;
        this.#chunk++;
        this.#offset = 0;
      }
    }
  }

  /** Each partition's rows, where none had to be written; else undefined. */
  get inMemory(): Uint8Array[][] | undefined {
    if (this.#file !== undefined) return undefined;
    return range(0, this.#extents.length).map((partition) => this.#piecesOf(partition));
  }

  #piecesOf(partition: number): Uint8Array[] {
    return this.#pending
      .map(({ bytes, ends }) =>
        bytes.subarray(partition > 0 ? at(ends, partition - 1) : 0, at(ends, partition)),
      )
      .filter(({ length }) => length > 0);
  }

  /** Writes what waits, and returns where each partition's rows are in the file. */
  async flush(): Promise<readonly (readonly Extent[])[]> {
    this.#file ??= await this.#open();
    for (const [partition, extents] of this.#extents.entries()) {
      const rows = Buffer.concat(this.#piecesOf(partition));
      if (rows.length === 0) continue;
      await writeAll(this.#file, rows);
      extents.push({ offset: this.#size, length: rows.length });
      this.#size += rows.length;
    }
    this.#pending = [];
    [this.#chunk, this.#offset, this.#used] = [0, 0, 0];
    return this.#extents;
  }

  /** Writes all rows to the disk and closes the file. */
  async finish(): Promise<readonly (readonly Extent[])[]> {
    const extents = await this.flush();
    await this.#file?.sync();
    return extents;
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}
