import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A log as rows of fields. */
export async function readLog(folder: string, name: string): Promise<string[][]> {
  const text = await readFile(join(folder, name), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
}

/** All logs of a run without the times that it took, which no two runs share. */
export async function timelessLogs(folder: string): Promise<string[][][]> {
  const withTimes = [await readLog(folder, 'train_log.txt'), await readLog(folder, 'step_log.txt')];
  return [
    ...withTimes.map((rows) => rows.map((row) => row.slice(0, -1))),
    await readLog(folder, 'eval_log.txt'),
  ];
}
