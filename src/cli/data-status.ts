import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import {
  type MonthStatus,
  readStatus,
  remainingSeconds,
  type StatusTotal,
  totalStatus,
} from '../corpus/status.js';
import { output } from './colors.js';
import { formatSeconds } from './progress.js';

/** `dialogpt data status`: which months are done, and how far the others are. */
export function dataStatusCommand(): CommandUnknownOpts {
  return new Command('status')
    .description('show which months of an extraction are done, with counts, MB/s and ETA')
    .option('--reddit-output <folder>', "the extraction's output folder", 'reddit_out')
    .option('--json', 'print one JSON object a month')
    .addHelpText('after', '\nExample:\n  dialogpt data status --reddit-output out')
    .action(async ({ redditOutput, json }) => {
      const statuses = await readStatus(redditOutput);
      if (json === true) {
        for (const status of statuses) console.log(JSON.stringify(status));
      } else if (statuses.length === 0) {
        console.log(`${redditOutput}: no month was begun`);
      } else {
        for (const status of statuses) console.log(describe(status));
        console.log(describeTotal(totalStatus(statuses)));
      }
    });
}

function describe(status: MonthStatus): string {
  if (status.state === 'done') {
    const { conversations, comments, megabytesPerSecond, stages } = status.statistics;
    const rates = Object.entries(stages).map(
      ([stage, rate]) => `${stage} ${rate.megabytesPerSecond}`,
    );
    return `${status.month}  ${output.green('done')}     ${conversations} conversations from ${comments} comments, ${megabytesPerSecond} MB/s (${rates.join(', ')})`;
  }
  const { progress } = status;
  if (progress === undefined) return `${status.month}  started`;
  const seconds = remainingSeconds(progress);
  const eta = seconds === undefined ? '' : `, ${formatSeconds(seconds)} to go in this stage`;
  return `${status.month}  ${progress.stage.padEnd(8)} ${Math.floor(progress.share * 100)} %${eta}`;
}

function describeTotal(total: StatusTotal): string {
  const rate = total.megabytesPerSecond === undefined ? '' : ` at ${total.megabytesPerSecond} MB/s`;
  return `${total.done} of ${total.months} months done: ${total.conversations} conversations from ${total.comments} comments, ${Math.round(total.megabytes)} MB${rate}`;
}
