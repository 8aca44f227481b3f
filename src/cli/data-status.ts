import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { type MonthStatus, readStatus, remainingSeconds } from '../corpus/status.js';

/** `dialogpt data status`: which months are done, and how far the others are. */
export function dataStatusCommand(): CommandUnknownOpts {
  return new Command('status')
    .description('show which months of an extraction are done, with counts, MB/s and ETA')
    .option('--reddit-output <folder>', "the extraction's output folder", 'reddit_out')
    .option('--json', 'print one JSON object a month')
    .addHelpText('after', '\nExample:\n  dialogpt data status --reddit-output out')
    .action(async ({ redditOutput, json }) => {
      const statuses = await readStatus(redditOutput);
      if (json === true) for (const status of statuses) console.log(JSON.stringify(status));
      else if (statuses.length === 0) console.log(`${redditOutput}: no month was begun`);
      else for (const status of statuses) console.log(describe(status));
    });
}

function describe(status: MonthStatus): string {
  if (status.state === 'done') {
    const { conversations, comments, megabytesPerSecond } = status.statistics;
    return `${status.month}  done     ${conversations} conversations from ${comments} comments, ${megabytesPerSecond} MB/s`;
  }
  const { progress } = status;
  if (progress === undefined) return `${status.month}  started`;
  const seconds = remainingSeconds(progress);
  const eta = seconds === undefined ? '' : `, ${Math.ceil(seconds)} s to go in this stage`;
  return `${status.month}  ${progress.stage}  ${Math.floor(progress.share * 100)} %${eta}`;
}
