import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson } from '../base/files.js';
import { z } from 'zod';
import { type MonthStatistics, readMonthStatistics, workFolder } from './extract-month.js';

/** `extract/MONTH/progress.json`, which a run writes every few seconds. */
export const progressSchema = z.object({
  stage: z.enum(['reading', 'building', 'merging', 'done']),
  /** Of the stage, from 0 to 1. */
  share: z.number(),
  /** When the stage began and when this was written, in milliseconds since 1970. */
  began: z.number(),
  written: z.number(),
});
export type Progress = z.infer<typeof progressSchema>;

export type MonthStatus =
  | { readonly month: string; readonly state: 'done'; readonly statistics: MonthStatistics }
  | { readonly month: string; readonly state: 'started'; readonly progress: Progress | undefined };

/** Where every month under an output folder stands, in order. */
export async function readStatus(output: string): Promise<MonthStatus[]> {
  const months = new Set<string>();
  for (const folder of ['conv', 'extract']) {
    for (const name of await readdir(join(output, folder)).catch(() => [])) {
      const month = /^\d{4}-\d{2}/.exec(name)?.[0];
      if (month !== undefined) months.add(month);
    }
  }
  const statuses: MonthStatus[] = [];
  for (const month of [...months].sort()) {
    const statistics = await readMonthStatistics(output, month);
    if (statistics === undefined) {
      const path = join(workFolder(output, month), 'progress.json');
      const text = await readJson(path).catch(() => undefined);
      const progress = progressSchema.safeParse(text).data;
      statuses.push({ month, state: 'started', progress });
    } else {
      statuses.push({ month, state: 'done', statistics });
    }
  }
  return statuses;
}

/** What an extraction has done so far, all months together. */
export interface StatusTotal {
  readonly done: number;
  readonly months: number;
  readonly conversations: number;
  readonly comments: number;
  /** Decompressed, of the months that are done, in 10⁶ bytes. */
  readonly megabytes: number;
  /** What one month after the other went at; undefined while none is done. */
  readonly megabytesPerSecond: number | undefined;
}

/** Adds up what {@link readStatus} found. */
export function totalStatus(statuses: readonly MonthStatus[]): StatusTotal {
  const total = { done: 0, conversations: 0, comments: 0, megabytes: 0 };
  let seconds = 0;
  for (const status of statuses) {
    if (status.state !== 'done') continue;
    const { conversations, comments, megabytes, megabytesPerSecond } = status.statistics;
    total.done += 1;
    total.conversations += conversations;
    total.comments += comments;
    total.megabytes += megabytes;
    if (megabytesPerSecond > 0) seconds += megabytes / megabytesPerSecond;
  }
  const megabytesPerSecond =
    seconds > 0 ? Math.round((total.megabytes / seconds) * 100) / 100 : undefined;
  return { ...total, months: statuses.length, megabytesPerSecond };
}

/** Seconds until a stage is done at the speed it has gone so far; undefined before it began. */
export function remainingSeconds({ share, began, written }: Progress): number | undefined {
  return share > 0 ? ((written - began) / 1000 / share) * (1 - share) : undefined;
}
