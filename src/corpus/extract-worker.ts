import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { RowReader } from './dump-rows.js';
import { type Extent, type ExtractTask, monthSchema, taskSchema } from './extract-tasks.js';
import { KeySet } from './key-set.js';
import { Keywords } from './keywords.js';
import { buildPartition } from './partition.js';

/** One of a month's threads: reads blocks of dumps into rows, and partitions into conversations. */

const month = monthSchema.parse(workerData);
const keepKeys = month.keepKeys && new KeySet(month.keepKeys);
const discardTargetKeys = month.discardTargetKeys && new KeySet(month.discardTargetKeys);
const keywords = new Keywords(month.rules.blockedWords ?? []);
const threadRules = { ...month.rules, keywords, keepKeys, discardTargetKeys };
const reader = new RowReader({ rules: month.rules, partitions: month.partitions, keepKeys });

parentPort?.on('message', (message) => {
  try {
    const { result, transfer } = perform(taskSchema.parse(message));
    parentPort?.postMessage({ result }, transfer);
  } catch (error) {
    parentPort?.postMessage({ error: error instanceof Error ? error : new Error(String(error)) });
  }
});

function perform(task: ExtractTask): { result: unknown; transfer: ArrayBuffer[] } {
  if (task.kind === 'rows') {
    const rows = reader.read(task.dump, task.bytes);
    const bytes = copyInto(task.bytes.buffer, rows.bytes);
    return { result: { ...rows, bytes }, transfer: [rows.ends.buffer] };
  }
  const built = buildPartition(join([...readExtents(task.extents), ...task.pieces]), threadRules);
  return { result: built, transfer: [built.lines.buffer] };
}

/** Rows take the place of the lines that they were made of, where they fit. */
function copyInto(place: ArrayBufferLike, bytes: Uint8Array): Uint8Array {
  if (bytes.length > place.byteLength) return bytes.slice();
  const copy = new Uint8Array(place, 0, bytes.length);
  copy.set(bytes);
  return copy;
}

function readExtents(extents: readonly Extent[]): Uint8Array[] {
  if (extents.length === 0) return [];
  const file = openSync(month.rowsPath, 'r');
  try {
    return extents.map(({ offset, length }) => {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const read = readSync(file, bytes, done, length - done, offset + done);
        if (read === 0) throw new Error(`${month.rowsPath} is shorter than it should be`);
        done += read;
      }
      return bytes;
    });
  } finally {
    closeSync(file);
  }
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
