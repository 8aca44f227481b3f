import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { dataBuildCommand } from './data-build.js';
import { dataExtractCommand } from './data-extract.js';
import { dataImportCommand } from './data-import.js';
import { dataInspectCommand } from './data-inspect.js';
import { dataRefsCommand } from './data-refs.js';
import { dataStatsCommand } from './data-stats.js';
import { dataStatusCommand } from './data-status.js';

/** The commands under `dialogpt data`, in the order in which its help lists them. */
const commands: readonly (() => CommandUnknownOpts)[] = [
  dataExtractCommand,
  dataStatusCommand,
  dataRefsCommand,
  dataImportCommand,
  dataStatsCommand,
  dataBuildCommand,
  dataInspectCommand,
];

/** `dialogpt data …`: from dumps and chats to conversations and datasets. */
export function dataCommand(): CommandUnknownOpts {
  const data = new Command('data').description(
    'make conversations and datasets from Reddit dumps and chats',
  );
  for (const create of commands) data.addCommand(create());
  return data;
}
