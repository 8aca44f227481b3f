import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { extractMonths } from '../src/corpus/extract.js';
import type { MonthStatistics } from '../src/corpus/extract-month.js';
import { presets } from '../src/corpus/presets.js';
import { writeRedditDumps } from './reddit-dumps.js';

/** What the original did on two cores of the machine we measured it on, in MB/s (decompressed). */
const ORIGINAL = { extract: 36, conv: 10.5 } as const;

export interface ExtractBenchmark {
  readonly megabytes: number;
  readonly threads: number;
  /** MB/s over the decompressed size, of each stage and end to end. */
  readonly reading: number;
  readonly building: number;
  readonly merging: number;
  readonly endToEnd: number;
  /** How much faster than the original end to end, as far as this machine is like that one. */
  readonly timesOriginal: number;
  /** The most memory held by the whole process, in MB. */
  readonly residentMegabytes: number;
}

/**
 * Makes a month of dumps (`megabytes` of comments, seed 1), extracts it with the Makefile's
 * settings and tells how fast each stage was.
 */
export async function benchmarkExtract(megabytes = 300, memory = 4e9): Promise<ExtractBenchmark> {
  const folder = await mkdtemp(join(tmpdir(), 'dialogpt-bench-'));
  try {
    const input = join(folder, 'dumps');
    await writeRedditDumps(input, {
      month: '2018-03',
      commentBytes: megabytes * 1e6,
      seed: 1,
    });
    const rules = { ...presets.small.rules, blockedWords: ['badword1', 'some thing'] };
    const settings = { input, output: join(folder, 'out'), rules, memory };
    const [statistics] = await extractMonths(['2018-03'], settings);
    if (statistics === undefined) throw new Error('no month was extracted');
    return summarise(statistics);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function summarise({ megabytes, megabytesPerSecond, stages }: MonthStatistics): ExtractBenchmark {
  const original = 1 / (1 / ORIGINAL.extract + 1 / ORIGINAL.conv);
  return {
    megabytes,
    threads: availableParallelism(),
    reading: stages.reading.megabytesPerSecond,
    building: stages.building.megabytesPerSecond,
    merging: stages.merging.megabytesPerSecond,
    endToEnd: megabytesPerSecond,
    timesOriginal: Math.round((megabytesPerSecond / original) * 10) / 10,
    residentMegabytes: Math.round(process.resourceUsage().maxRSS / 1000),
  };
}
