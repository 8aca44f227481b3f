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
    return { result: rows, transfer: [rows.bytes.buffer, rows.ends.buffer] };
  }
  const built = buildPartition(readExtents(task.extents), threadRules);
  return { result: built, transfer: [built.lines.buffer] };
}

function readExtents(extents: readonly Extent[]): Uint8Array[] {
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
