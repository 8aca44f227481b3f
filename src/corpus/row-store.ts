import type { FileHandle } from 'node:fs/promises';
import { at, range } from '../base/arrays.js';
import { writeAll } from '../base/files.js';
import type { Extent } from './extract-tasks.js';

/**
 * The rows of all partitions in one file. Rows wait in memory until they are more than
 * `memory` bytes; then each partition's go to the end of the file together.
 */
export class RowStore {
  readonly #file: FileHandle;
  readonly #memory: number;
  readonly #extents: Extent[][];
  #pending: Uint8Array[][];
  #pendingBytes = 0;
  #size = 0;

  constructor(file: FileHandle, partitions: number, memory: number) {
    this.#file = file;
    this.#memory = memory;
    this.#extents = range(0, partitions).map(() => []);
    this.#pending = range(0, partitions).map(() => []);
  }

  /** Adds rows to every partition. */
  async add(partitions: readonly Uint8Array[]): Promise<void> {
    partitions.forEach((rows, partition) => {
      if (rows.length > 0) at(this.#pending, partition).push(rows);
      this.#pendingBytes += rows.length;
    });
    if (this.#pendingBytes > this.#memory) await this.flush();
  }

  /** Writes what waits and returns where each partition's rows are. */
  async flush(): Promise<readonly (readonly Extent[])[]> {
    const pending = this.#pending;
    this.#pending = pending.map(() => []);
    this.#pendingBytes = 0;
    for (const [partition, pieces] of pending.entries()) {
      if (pieces.length === 0) continue;
      const bytes = Buffer.concat(pieces);
      pieces.length = 0;
      await writeAll(this.#file, bytes);
      at(this.#extents, partition).push({ offset: this.#size, length: bytes.length });
      this.#size += bytes.length;
    }
    return this.#extents;
  }
}
