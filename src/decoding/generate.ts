import { beamSearch } from './beam-search.js';
import { contrastiveSearch } from './contrastive-search.js';
import type { Reader } from './reader.js';
import { groupBeamSearch } from './group-beam-search.js';
import { type DecodingOptions, decodingOptions } from './options.js';
import { sampleSearch } from './sample-search.js';
import { finishSearch, type Generation, runSearch, type Search } from './search.js';
import { type SearchTask, searchTask } from './task.js';

/** The search that the options of a task ask for. */
export function searchOf(task: SearchTask): Search {
  const { numBeams, numBeamGroups, penaltyAlpha } = task.options;
  if (numBeamGroups > 1) return groupBeamSearch(task);
  if (numBeams > 1) return beamSearch(task);
  if (penaltyAlpha > 0) return contrastiveSearch(task);
  return sampleSearch(task);
}

/**
 * Generates what follows a prompt: `numReturnSequences` sequences, the best first.
 *
 * @param prompt at least one token
 * @throws UserError if an option cannot be, or contradicts another.
 */
export async function generate(
  reader: Reader,
  endOfText: number,
  prompt: readonly number[],
  options: DecodingOptions = {},
): Promise<readonly Generation[]> {
  const complete = decodingOptions(options);
  return finishSearch(
    reader,
    searchOf(searchTask(prompt, endOfText, reader.config.n_positions, complete)),
  );
}

/**
 * Generates the tokens after a prompt one by one, until the end of text, which is not among them.
 * With beams, they come as they become certain, many at the end. At least one token comes unless
 * `minNewTokens` says otherwise.
 *
 * @param prompt at least one token
 */
export async function* generateTokens(
  reader: Reader,
  endOfText: number,
  prompt: readonly number[],
  options: DecodingOptions = {},
): AsyncGenerator<number, void, undefined> {
  const complete = decodingOptions(options);
  const task = searchTask(prompt, endOfText, reader.config.n_positions, complete);
  yield* runSearch(reader, searchOf(task));
}
