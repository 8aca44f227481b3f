import { closeSync, openSync, readSync } from 'node:fs';
import { RowReader } from './dump-rows.js';
import type { Extent, ExtractTask, MonthData } from './extract-tasks.js';
import { KeySet } from './key-set.js';
import { Keywords } from './keywords.js';
import { buildPartition } from './partition.js';
import type { ThreadRules } from './threads.js';

/** A task's result, and what of it may be handed over instead of copied. */
export interface Done {
  readonly result: unknown;
  readonly transfer: ArrayBuffer[];
}

/** Does a month's tasks: reads blocks of dumps into rows, and partitions into conversations. */
export class ExtractWork {
  readonly #rowsPath: string;
  readonly #rules: ThreadRules;
  readonly #reader: RowReader;

  constructor({ rules, partitions, rowsPath, ...keys }: MonthData) {
    const keepKeys = keys.keepKeys && new KeySet(keys.keepKeys);
    const discardTargetKeys = keys.discardTargetKeys && new KeySet(keys.discardTargetKeys);
    const keywords = new Keywords(rules.blockedWords ?? []);
    this.#rowsPath = rowsPath;
    this.#rules = { ...rules, keywords, keepKeys, discardTargetKeys };
    this.#reader = new RowReader({ rules, partitions, keepKeys });
  }

  perform(task: ExtractTask): Done {
    if (task.kind === 'rows') {
      const rows = this.#reader.read(task.dump, task.bytes);
      const bytes = copyInto(task.bytes.buffer, rows.bytes);
      return { result: { ...rows, bytes }, transfer: [rows.ends.buffer] };
    }
    const rows = join([...this.#readExtents(task.extents), ...task.pieces]);
    const built = buildPartition(rows, this.#rules);
    return { result: built, transfer: [built.lines.buffer] };
  }

  #readExtents(extents: readonly Extent[]): Uint8Array[] {
    if (extents.length === 0) return [];
    const file = openSync(this.#rowsPath, 'r');
    try {
      return extents.map(({ offset, length }) => {
        const bytes = new Uint8Array(length);
        for (let done = 0; done < length;) {
          const read = readSync(file, bytes, done, length - done, offset + done);
          if (read === 0) throw new Error(`${this.#rowsPath} is shorter than it should be`);
          done += read;
        }
        return bytes;
      });
    } finally {
      closeSync(file);
    }
  }
}

/** Rows take the place of the lines that they were made of, where they fit. */
function copyInto(place: ArrayBufferLike, bytes: Uint8Array): Uint8Array {
  if (bytes.length > place.byteLength) return bytes.slice();
  const copy = new Uint8Array(place, 0, bytes.length);
  copy.set(bytes);
  return copy;
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.length;
  }
  return joined;
}
