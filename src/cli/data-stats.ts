import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { UserError } from '../base/errors.js';
import {
  type CorpusStatistics,
  countCorpus,
  FULL_CORPUS,
  isFullCorpus,
  LENGTH_STEP,
} from '../corpus/statistics.js';
import { wholeNumber } from './arguments.js';
import { histogram } from './histogram.js';
import { showProgress } from './progress.js';

/** `dialogpt data stats FILE…`: what files of conversations hold. */
export function dataStatsCommand(): CommandUnknownOpts {
  return new Command('stats')
    .description('count conversations, turns and tokens; compare with the full Reddit corpus')
    .argument('<files...>', 'TSV files of conversations, with or without keys, also compressed')
    .option('--expect-full', "fail unless the counts are the full preset's as published")
    .option('--threads <n>', 'worker threads; by default one a core', wholeNumber(1))
    .option('--json', 'print the counts as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  dialogpt data stats out/conv/*.tsv\n  dialogpt data stats train.tsv --expect-full',
    )
    .action(async (files, { expectFull, threads, json }) => {
      const counts = await countWithProgress(files, threads);
      const full = isFullCorpus(counts);
      if (json === true) {
        console.log(JSON.stringify({ ...counts, full: FULL_CORPUS, isFull: full }));
      } else {
        console.log(describe(counts, full));
      }
      if (expectFull === true && !full) {
        throw new UserError(
          `These are not the full corpus's ${FULL_CORPUS.lines} conversations with ${FULL_CORPUS.sourceTokens / 1e9} and ${FULL_CORPUS.targetTokens / 1e9} billion tokens; see \`dialogpt data status\` for months that are missing.`,
        );
      }
    });
}

async function countWithProgress(
  files: readonly string[],
  threads: number | undefined,
): Promise<CorpusStatistics> {
  let progress: ReturnType<typeof showProgress> | undefined;
  try {
    return await countCorpus(files, {
      ...(threads !== undefined && { threads }),
      onProgress: (bytes, totalBytes) => {
        const megabytes = (size: number) => Math.round(size / 1e5) / 10;
        progress ??= showProgress('counting', megabytes(totalBytes), 'MB');
        if (bytes < totalBytes) progress.update(megabytes(bytes));
      },
    });
  } finally {
    progress?.stop();
  }
}

function describe(counts: CorpusStatistics, full: boolean): string {
  const row = (name: string, here: number, there: number) => {
    const share = `${((here / there) * 100).toFixed(4)} %`;
    return `${name.padEnd(15)}${pad(String(here))}${pad(String(there))}${pad(share)}`;
  };
  return [
    `               ${pad('here')}${pad('full Reddit')}${pad('share')}`,
    row('conversations', counts.lines, FULL_CORPUS.lines),
    row('source tokens', counts.sourceTokens, FULL_CORPUS.sourceTokens),
    row('target tokens', counts.targetTokens, FULL_CORPUS.targetTokens),
    ...(full ? ['These are the published counts of the full corpus.'] : []),
    '',
    `turns ${counts.turns}, of weight 1: ${counts.learnt}`,
    '',
    histogram('turns of a conversation', counts.turnsPerConversation),
    '',
    histogram('words of a response', counts.responseLengths, LENGTH_STEP),
  ].join('\n');
}

function pad(text: string): string {
  return text.padStart(16);
}
