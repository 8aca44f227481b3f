import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { readText } from '../base/files.js';
import { DEFAULT_MIRRORS, downloadMonth, parseChecksums } from '../corpus/download.js';
import { DEFAULT_MEMORY, extractMonths } from '../corpus/extract.js';
import { defaultRules, type ExtractRules, readBlockList } from '../corpus/extract-options.js';
import type { MonthProgress, MonthStatistics } from '../corpus/extract-month.js';
import { planMemory } from '../corpus/memory.js';
import { parseMonths } from '../corpus/months.js';
import { joinMonths, prepareDummy, presetKeys, presets } from '../corpus/presets.js';
import { readRank, shareOf } from '../base/rank.js';
import { wholeNumber } from './arguments.js';
import { parseMemory } from './data-memory.js';
import { type Progress, showProgress } from './progress.js';

const PRESETS = ['dummy', 'small', 'full', 'test'] as const;

function defineCommand() {
  return new Command('extract')
    .description("turn Reddit's monthly dumps into conversations (the original's reddit_extractor)")
    .argument('[months...]', 'months: 2018-03, or 2018-03..2019-01')
    .option('--reddit-input <folder>', 'where RC_MONTH and RS_MONTH dumps are', 'reddit_in')
    .option('--reddit-output <folder>', 'where conv/MONTH.tsv goes', 'reddit_out')
    .addOption(new Option('--preset <name>', "the original's settings and months").choices(PRESETS))
    .option('--max-len <n>', 'the longest turn', wholeNumber(1))
    .addOption(
      new Option('--max-len-type <type>', 'counted in words or characters').choices(['w', 'c']),
    )
    .option('--min-depth <n>', 'the fewest turns of a conversation', wholeNumber(1))
    .option('--max-depth <n>', 'the most turns of a conversation', wholeNumber(1))
    .option(
      '--min-score <n>',
      'the lowest score of a response',
      wholeNumber(Number.MIN_SAFE_INTEGER),
    )
    .addOption(new Option('--use-title <0|1>', "a submission's title is a turn").choices(BITS))
    .addOption(new Option('--leaves-only <0|1>', 'only unanswered responses').choices(BITS))
    .option('--clean', 'filter for clean conversations; with --leaves-only, weigh turns')
    .option('--bl-words <file>', 'words and phrases to avoid in responses, one a line')
    .option('--bl-subreddits <file>', 'subreddits to leave out, one a line')
    .option('--keep-keys <file>', 'keys of what to keep; {month} in the path is the month')
    .option('--discard-tgt-keys <file>', 'sha224 of turns not to be learnt; {month} as above')
    .option('--keys <folder>', "where a preset's key files are", join('data', 'keys'))
    .option('--ignore-keys', 'use no key files, whatever else says')
    .option(
      '--split-size <n>',
      'sort the output within groups of this many submissions',
      wholeNumber(1),
    )
    .option('--merge <file>', 'write all months, without keys, to one file when they are done')
    .option('--download', 'fetch dumps that are missing')
    .option('--mirror <addresses...>', 'folders with comments/ and submissions/', DEFAULT_MIRRORS)
    .option('--checksums <file>', 'a sha256sum list that downloads must agree with')
    .option(
      '--memory <size>',
      'how much memory extracting may take beyond the 65 MB of Node.js and this program at rest (64MB, 4GB)',
      parseMemory,
      DEFAULT_MEMORY,
    )
    .option('--jobs <n>', 'months to work on at once', wholeNumber(1), 1)
    .option('--threads <n>', 'worker threads; by default one a core', wholeNumber(1))
    .option('--json', 'print the statistics as JSON lines')
    .addHelpText(
      'after',
      `
A month needs RS_MONTH and RC_MONTH in the input folder (.zst, .xz, .bz2, .gz or plain). Run it
again after an interruption and it goes on; under mpirun or srun each rank takes its share of the
months. Details: docs/data.md.

Examples:
  dialogpt data extract 2018-03 --reddit-input dumps --reddit-output out --clean --leaves-only 1
  dialogpt data extract --preset full --reddit-input dumps --reddit-output out --merge train.tsv`,
    );
}

const BITS = ['0', '1'] as const;

type Flags = ReturnType<ReturnType<typeof defineCommand>['opts']>;

/** `dialogpt data extract MONTH…`: Reddit dumps → conversations. */
export function dataExtractCommand(): CommandUnknownOpts {
  return defineCommand().action(async (texts, flags) => {
    if (flags.preset === 'dummy') {
      const out = flags.merge ?? join(flags.redditOutput, 'train.tsv');
      const pairs = await prepareDummy(join(flags.redditInput, 'train_raw.tsv'), out);
      console.log(flags.json === true ? JSON.stringify({ out, pairs }) : `${out}: ${pairs} pairs`);
      return;
    }
    const preset = flags.preset && presets[flags.preset];
    const months = parseMonths(texts.length === 0 && preset ? [preset.months] : texts);
    if (months.length === 0) throw new UserError('Name a month (2018-03) or give --preset.');
    const keys = flags.ignoreKeys === true ? {} : keyFiles(flags);
    const rank = readRank();
    const share = shareOf(months, rank);
    if (flags.download === true) await download(share, flags);
    const threads = flags.threads ?? availableParallelism();
    const plan = planMemory(flags.memory, flags.jobs, threads);
    const progress = showProgress('extract', share.length, 'months');
    const done = await extractMonths(share, {
      input: flags.redditInput,
      output: flags.redditOutput,
      rules: await rulesOf(flags, preset?.rules ?? defaultRules),
      ...keys,
      jobs: plan.jobs,
      threads: plan.threads,
      memory: plan.data,
      onProgress: watch(share.length, progress),
    }).finally(() => {
      progress.stop();
    });
    for (const statistics of done) {
      console.log(flags.json === true ? JSON.stringify(statistics) : describe(statistics));
    }
    if (flags.merge !== undefined && rank.rank === 0) {
      await joinMonths(flags.redditOutput, months, flags.merge);
    }
  });
}

async function download(months: readonly string[], flags: Flags): Promise<void> {
  const checksums =
    flags.checksums === undefined ? undefined : parseChecksums(await readText(flags.checksums));
  const progress = showProgress('download', months.length, 'months');
  try {
    for (const [index, month] of months.entries()) {
      await downloadMonth(flags.redditInput, month, {
        mirrors: flags.mirror,
        ...(checksums && { checksums }),
        onProgress: (name, bytes, total) => {
          progress.update(index, `${name} ${bytes} of ${total} bytes`);
        },
      });
    }
  } finally {
    progress.stop();
  }
}

function keyFiles(flags: Flags): { keepKeys?: string; discardTargetKeys?: string } {
  const preset = flags.preset !== undefined && flags.preset !== 'dummy' && presets[flags.preset];
  return {
    ...(preset !== false && presetKeys(preset, flags.keys)),
    ...(flags.keepKeys !== undefined && { keepKeys: flags.keepKeys }),
    ...(flags.discardTgtKeys !== undefined && { discardTargetKeys: flags.discardTgtKeys }),
  };
}

async function rulesOf(flags: Flags, base: ExtractRules): Promise<ExtractRules> {
  const subreddits = flags.blSubreddits && (await readBlockList(flags.blSubreddits));
  return {
    ...base,
    maxLen: flags.maxLen ?? base.maxLen,
    maxLenType: flags.maxLenType ?? base.maxLenType,
    minDepth: flags.minDepth ?? base.minDepth,
    maxDepth: flags.maxDepth ?? base.maxDepth,
    minScore: flags.minScore ?? base.minScore,
    useTitle: flags.useTitle === undefined ? base.useTitle : flags.useTitle === '1',
    leavesOnly: flags.leavesOnly === undefined ? base.leavesOnly : flags.leavesOnly === '1',
    clean: flags.clean ?? base.clean,
    splitSize: flags.splitSize ?? base.splitSize,
    ...(flags.blWords !== undefined && { blockedWords: await readBlockList(flags.blWords) }),
    ...(subreddits && { blockedSubreddits: subreddits.map((name) => name.toLowerCase()) }),
  };
}

/** How much of a month's time a stage takes, about, and when it begins. */
const STAGES: Readonly<Record<MonthProgress['stage'], readonly [begin: number, length: number]>> = {
  reading: [0, 0.65],
  building: [0.65, 0.3],
  merging: [0.95, 0.05],
  done: [1, 0],
};

/** Shows how far all months together are, in months. */
function watch(months: number, progress: Progress): (state: MonthProgress) => void {
  const shares = new Map<string, number>();
  return ({ month, stage, share }) => {
    const [begin, length] = STAGES[stage];
    shares.set(month, begin + length * share);
    const done = [...shares.values()].reduce((sum, part) => sum + part, 0);
    progress.update(Math.min(months, Math.round(done * 1000) / 1000), `${month} ${stage}`);
  };
}

function describe(statistics: MonthStatistics): string {
  const { month, conversations, comments, skips, megabytesPerSecond } = statistics;
  const { submissionLines, commentLines } = statistics;
  const broken = submissionLines.broken + commentLines.broken;
  const left = Object.entries(skips).map(([reason, count]) => `${reason} ${count}`);
  return `${month}: ${conversations} conversations from ${comments} comments at ${megabytesPerSecond} MB/s; ${broken} broken lines; left out: ${left.join(', ') || 'none'}`;
}
