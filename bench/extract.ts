import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { extractMonths } from '../src/corpus/extract.js';
import type { MonthStatistics } from '../src/corpus/extract-month.js';
import { planMemory } from '../src/corpus/memory.js';
import { presets } from '../src/corpus/presets.js';
import { type Benchmark, formatTable, temporaryFolder } from './benchmark.js';
import { writeRedditDumps } from './reddit-dumps.js';

/** What the original did on two idle cores of the machine it was measured on, in MB/s. */
const ORIGINAL = { extract: 36, conv: 10.5 } as const;
const MEGABYTES = 300;

/**
 * Makes a month of dumps (seed 1), extracts it with the Makefile's settings, once with the least
 * memory and once with the usual, and tells how fast each stage was over the decompressed size.
 */
export const extractBenchmark: Benchmark = {
  description: `Reddit extraction: a made-up month of ${MEGABYTES} MB, all stages`,
  async run(print) {
    await using temporary = await temporaryFolder();
    const folder = temporary.path;
    const input = join(folder, 'dumps');
    const dump = { month: '2018-03', commentBytes: MEGABYTES * 1e6, seed: 1 };
    await writeRedditDumps(input, dump);
    const rules = { ...presets.small.rules, blockedWords: ['badword1', 'some thing'] };
    const runs = [];
    for (const memory of [64e6, 4e9]) {
      const output = join(folder, String(memory));
      const { threads, data } = planMemory(memory, 1, availableParallelism());
      const settings = { input, output, rules, threads, memory: data };
      const before = process.cpuUsage();
      const [statistics] = await extractMonths([dump.month], settings);
      const { user, system } = process.cpuUsage(before);
      if (statistics === undefined) throw new Error('no month was extracted');
      runs.push({ memory, threads, ...summarise(statistics, (user + system) / 1e6) });
    }
    const names = [
      'memory',
      'threads',
      'reading',
      'building',
      'merging',
      'endToEnd',
      'timesOriginal',
      'perProcessorSecond',
    ] as const;
    print(formatTable([names, ...runs.map((run) => names.map((name) => String(run[name])))]));
    return { runs };
  },
};

function summarise(statistics: MonthStatistics, processorSeconds: number) {
  const { megabytes, megabytesPerSecond, stages } = statistics;
  const original = 1 / (1 / ORIGINAL.extract + 1 / ORIGINAL.conv);
  return {
    megabytes,
    reading: stages.reading.megabytesPerSecond,
    building: stages.building.megabytesPerSecond,
    merging: stages.merging.megabytesPerSecond,
    endToEnd: megabytesPerSecond,
    timesOriginal: Math.round((megabytesPerSecond / original) * 10) / 10,
    perProcessorSecond: Math.round((megabytes / processorSeconds) * 10) / 10,
    residentMegabytes: Math.round(process.resourceUsage().maxRSS / 1000),
  };
}
