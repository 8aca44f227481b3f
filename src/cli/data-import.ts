import {
  Argument,
  Command,
  type CommandUnknownOpts,
  InvalidArgumentError,
} from '@commander-js/extra-typings';
import { importConversations } from '../corpus/import.js';
import { importers } from '../corpus/importers/importers.js';

const formats = [...importers].map(([name, { description }]) => `  ${name}: ${description}`);

/** `dialogpt data import FORMAT FILE…`: chats that people have → conversations as TSV. */
export function dataImportCommand(): CommandUnknownOpts {
  return new Command('import')
    .description('turn chats that you have into conversations (turn EOS turn <tab> response)')
    .addArgument(new Argument('<format>', 'what the files are').choices([...importers.keys()]))
    .argument('<files...>', 'the files to import')
    .requiredOption('--out <file>', 'the TSV file to write')
    .option('--speaker <name>', "learn only this speaker's turns; the others are context")
    .option('--gap-hours <hours>', 'a longer silence starts a new conversation', parseHours, 6)
    .option('--conversation-column <name>', 'csv: the column that tells conversations apart')
    .option('--speaker-column <name>', 'csv: the column of speakers')
    .option('--time-column <name>', 'csv: the column of times')
    .option('--text-column <name>', 'csv: the column of messages')
    .option('--context-column <name>', 'csv: the column of contexts, an exchange a row')
    .option('--response-column <name>', 'csv: the column of responses, an exchange a row')
    .option('--json', 'print the counts as JSON')
    .addHelpText(
      'after',
      `\nFormats:\n${formats.join('\n')}\n\nExample:\n  dialogpt data import topical-chat conversations/train.json --out topical.tsv`,
    )
    .action(async (format, files, options) => {
      const counts = await importConversations(format, files, options.out, {
        gapHours: options.gapHours,
        ...(options.speaker !== undefined && { speaker: options.speaker }),
        columns: {
          ...(options.conversationColumn !== undefined && {
            conversation: options.conversationColumn,
          }),
          ...(options.speakerColumn !== undefined && { speaker: options.speakerColumn }),
          ...(options.timeColumn !== undefined && { time: options.timeColumn }),
          ...(options.textColumn !== undefined && { text: options.textColumn }),
          ...(options.contextColumn !== undefined && { context: options.contextColumn }),
          ...(options.responseColumn !== undefined && { response: options.responseColumn }),
        },
      });
      console.log(
        options.json === true
          ? JSON.stringify({ out: options.out, ...counts })
          : `${options.out}: ${counts.conversations} conversations, ${counts.turns} turns; ${counts.tooShort} left out as too short`,
      );
    });
}

function parseHours(text: string): number {
  const hours = Number(text);
  if (hours > 0) return hours;
  throw new InvalidArgumentError('Give a number of hours above 0.');
}
