import { renameSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { range } from '../base/arrays.js';
import { withFileErrors } from '../base/errors.js';
import { findDump } from './dump-files.js';
import {
  extractMonth,
  type MonthProgress,
  type MonthStatistics,
  workFolder,
} from './extract-month.js';
import type { ExtractRules } from './extract-options.js';
import { KeySet } from './key-set.js';
import type { Progress } from './status.js';

export interface ExtractSettings {
  /** The folder with the dumps. */
  readonly input: string;
  /** The folder for `conv/` and, while working, `extract/`. */
  readonly output: string;
  readonly rules: ExtractRules;
  /** Files of keys; `{month}` in a path stands for the month. */
  readonly keepKeys?: string;
  readonly discardTargetKeys?: string;
  /** How many months are worked on at once; 1. */
  readonly jobs?: number;
  /** Worker threads, shared by those months; the machine's cores. With 0 this thread does the work. */
  readonly threads?: number;
  /** Bytes of data to hold, shared by those months; what Node.js needs comes on top. 4 GB. */
  readonly memory?: number;
  readonly onProgress?: (progress: MonthProgress) => void;
}

export const DEFAULT_MEMORY = 4e9;

/**
 * Makes the conversations of several months (reddit.py's two tasks for each), `jobs` at a time.
 * Months that are done stay as they are; one that was interrupted goes on.
 *
 * @throws UserError where a dump or key file is missing, before anything is made.
 */
export async function extractMonths(
  months: readonly string[],
  settings: ExtractSettings,
): Promise<MonthStatistics[]> {
  const prepared = [];
  for (const month of months) {
    const dumps = {
      submissions: await findDump(settings.input, 'submissions', month),
      comments: await findDump(settings.input, 'comments', month),
    };
    const keepKeys = await findKeys(settings.keepKeys, month);
    const discardTargetKeys = await findKeys(settings.discardTargetKeys, month);
    prepared.push({ month, dumps, keepKeys, discardTargetKeys });
  }
  const jobs = Math.max(1, Math.min(settings.jobs ?? 1, prepared.length));
  const asked = settings.threads ?? availableParallelism();
  const threads = asked === 0 ? 0 : Math.max(1, Math.floor(asked / jobs));
  const memory = (settings.memory ?? DEFAULT_MEMORY) / jobs;
  const results: MonthStatistics[] = [];
  const waiting = [...prepared.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, { month, dumps, keepKeys, discardTargetKeys }] = next;
      const job = {
        month,
        dumps,
        output: settings.output,
        rules: settings.rules,
        ...(keepKeys && { keepKeys: await KeySet.read(keepKeys.path) }),
        ...(discardTargetKeys && { discardTargetKeys: await KeySet.read(discardTargetKeys.path) }),
        keysName: [keepKeys, discardTargetKeys],
        threads,
        memory,
      };
      const record = progressRecorder(settings.output, month);
      results[index] = await extractMonth(job, (progress) => {
        record(progress);
        settings.onProgress?.(progress);
      });
    }
  };
  await Promise.all(range(0, jobs).map(work));
  return results;
}

/** How often `progress.json` is written, in milliseconds. */
const RECORD_INTERVAL = 2000;

/** Keeps `extract/MONTH/progress.json` up to date for `data status`. */
function progressRecorder(output: string, month: string): (progress: MonthProgress) => void {
  const path = join(workFolder(output, month), 'progress.json');
  let stage: MonthProgress['stage'] | undefined;
  let began = 0;
  let written = 0;
  return (progress) => {
    const now = Date.now();
    if (progress.stage === 'done') return;
    if (progress.stage !== stage) began = now;
    else if (now - written < RECORD_INTERVAL) return;
    stage = progress.stage;
    written = now;
    const record: Progress = { stage, share: progress.share, began, written };
    // Not being able to say how far it is does not stop the work.
    try {
      writeFileSync(`${path}.partial`, JSON.stringify(record));
      renameSync(`${path}.partial`, path);
    } catch {
      return;
    }
  };
}

interface KeyFile {
  readonly path: string;
  readonly size: number;
  readonly changed: number;
}

async function findKeys(pattern: string | undefined, month: string): Promise<KeyFile | undefined> {
  if (pattern === undefined) return undefined;
  const path = pattern.replaceAll('{month}', month);
  const { size, mtimeMs } = await withFileErrors(path, () => stat(path));
  return { path, size, changed: mtimeMs };
}
