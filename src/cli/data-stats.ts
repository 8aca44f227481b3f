import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { countCorpus, FULL_CORPUS, LENGTH_STEP } from '../corpus/statistics.js';

/** `dialogpt data stats FILE…`: what files of conversations hold. */
export function dataStatsCommand(): CommandUnknownOpts {
  return new Command('stats')
    .description('count conversations, turns and tokens; compare with the full Reddit corpus')
    .argument('<files...>', 'TSV files of conversations, with or without keys, also compressed')
    .option('--json', 'print the counts as JSON')
    .addHelpText('after', '\nExample:\n  dialogpt data stats out/conv/*.tsv')
    .action(async (files, { json }) => {
      const counts = await countCorpus(files);
      if (json === true) {
        console.log(JSON.stringify({ ...counts, full: FULL_CORPUS }));
        return;
      }
      const { lines, sourceTokens, targetTokens } = counts;
      console.log(`               ${pad('here')}${pad('full Reddit')}${pad('share')}`);
      printRow('conversations', lines, FULL_CORPUS.lines);
      printRow('source tokens', sourceTokens, FULL_CORPUS.sourceTokens);
      printRow('target tokens', targetTokens, FULL_CORPUS.targetTokens);
      console.log(`\nturns ${counts.turns}, of weight 1: ${counts.learnt}`);
      printHistogram('turns', counts.turnsPerConversation, (index) => String(index));
      printHistogram('words in the response', counts.responseLengths, (index) =>
        [index, index + 1].map((step, end) => step * LENGTH_STEP - end).join('-'),
      );
    });
}

function printRow(name: string, here: number, full: number): void {
  const share = `${((here / full) * 100).toFixed(4)} %`;
  console.log(`${name.padEnd(15)}${pad(String(here))}${pad(String(full))}${pad(share)}`);
}

function pad(text: string): string {
  return text.padStart(16);
}

const BAR_WIDTH = 40;

function printHistogram(
  title: string,
  bars: readonly number[],
  nameOf: (index: number) => string,
): void {
  const largest = Math.max(1, ...bars);
  console.log(`\n${title}`);
  bars.forEach((count, index) => {
    if (count === 0) return;
    const bar = '█'.repeat(Math.ceil((count / largest) * BAR_WIDTH));
    console.log(`${nameOf(index).padStart(8)} ${bar.padEnd(BAR_WIDTH)} ${count}`);
  });
}
