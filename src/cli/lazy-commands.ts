import type { CommandUnknownOpts } from '@commander-js/extra-typings';

/** Loads a command; `words` are those that come after its name. */
export type LoadCommand = (words: readonly string[]) => Promise<CommandUnknownOpts>;

/**
 * The command of `table` that `words` name, alone: what the others need, from a training loop to a
 * web server, takes most of a second to load. All of them where none is named, for help and for
 * what a word may have meant.
 */
export async function loadCommands(
  table: ReadonlyMap<string, LoadCommand>,
  words: readonly string[],
): Promise<readonly CommandUnknownOpts[]> {
  const place = words.findIndex((word) => !word.startsWith('-'));
  const named = place < 0 ? undefined : table.get(words[place] ?? '');
  if (named !== undefined) return [await named(words.slice(place + 1))];
  return Promise.all([...table.values()].map((load) => load([])));
}
