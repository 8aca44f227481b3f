import type { FileHandle } from 'node:fs/promises';
import { at, range } from '../base/arrays.js';
import { writeAll } from '../base/files.js';
import type { Rows } from './dump-rows.js';
import type { Extent } from './extract-tasks.js';

/**
 * The rows of all partitions in one file. Rows wait in memory until they are more than
 * `memory` bytes; then each partition's go to the end of the file together.
 */
export class RowStore {
  readonly #file: FileHandle;
  readonly #memory: number;
  readonly #extents: Extent[][];
  #pending: Pick<Rows, 'bytes' | 'ends'>[] = [];
  #pendingBytes = 0;
  #size = 0;

  constructor(file: FileHandle, partitions: number, memory: number) {
    this.#file = file;
    this.#memory = memory;
    this.#extents = range(0, partitions).map(() => []);
  }

  /** Adds rows to every partition. */
  async add(rows: Pick<Rows, 'bytes' | 'ends'>): Promise<void> {
    this.#pending.push(rows);
    this.#pendingBytes += rows.bytes.length;
    if (this.#pendingBytes > this.#memory) await this.flush();
  }

  /** Writes what waits and returns where each partition's rows are. */
  async flush(): Promise<readonly (readonly Extent[])[]> {
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const [partition, extents] of this.#extents.entries()) {
      const pieces = pending.map(({ bytes, ends }) =>
        bytes.subarray(partition > 0 ? at(ends, partition - 1) : 0, at(ends, partition)),
      );
      const rows = Buffer.concat(pieces);
      if (rows.length === 0) continue;
      await writeAll(this.#file, rows);
      extents.push({ offset: this.#size, length: rows.length });
      this.#size += rows.length;
    }
    return this.#extents;
  }
}
