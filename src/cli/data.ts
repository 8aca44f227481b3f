import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { type LoadCommand, loadCommands } from './lazy-commands.js';

/** The commands under `dialogpt data`, in the order in which its help lists them. */
const commands: ReadonlyMap<string, LoadCommand> = new Map<string, LoadCommand>([
  ['extract', async () => (await import('./data-extract.js')).dataExtractCommand()],
  ['status', async () => (await import('./data-status.js')).dataStatusCommand()],
  ['refs', async () => (await import('./data-refs.js')).dataRefsCommand()],
  ['import', async () => (await import('./data-import.js')).dataImportCommand()],
  ['stats', async () => (await import('./data-stats.js')).dataStatsCommand()],
  ['build', async () => (await import('./data-build.js')).dataBuildCommand()],
  ['inspect', async () => (await import('./data-inspect.js')).dataInspectCommand()],
]);

/** `dialogpt data …`: from dumps and chats to conversations and datasets. */
export async function dataCommand(words: readonly string[]): Promise<CommandUnknownOpts> {
  const data = new Command('data').description(
    'make conversations and datasets from Reddit dumps and chats',
  );
  for (const command of await loadCommands(commands, words)) data.addCommand(command);
  return data;
}
