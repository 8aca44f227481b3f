import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { readTextLines } from './text-lines.js';

/** What a corpus holds. Tokens are words between spaces, weights among them, as the original counts. */
export interface CorpusStatistics {
  /** Conversations. */
  lines: number;
  sourceTokens: number;
  targetTokens: number;
  turns: number;
  /** Turns of weight 1. */
  learnt: number;
  /** How many conversations have 2, 3, 4, … turns, from index 2 on. */
  readonly turnsPerConversation: number[];
  /** How many responses have 0-4, 5-9, 10-14, … words. */
  readonly responseLengths: number[];
}

/** The width of a bar of {@link CorpusStatistics.responseLengths}, in words. */
export const LENGTH_STEP = 5;

/** What the original's README says of the full corpus, made from all of Reddit's 2005-2017. */
export const FULL_CORPUS = {
  lines: 146_846_215,
  sourceTokens: 3_870_000_000,
  targetTokens: 2_140_000_000,
} as const;

/**
 * Counts what files of conversations hold, with or without keys, compressed or not.
 *
 * @throws UserError where a line is no conversation.
 */
export async function countCorpus(paths: readonly string[]): Promise<CorpusStatistics> {
  const counts: CorpusStatistics = {
    lines: 0,
    sourceTokens: 0,
    targetTokens: 0,
    turns: 0,
    learnt: 0,
    turnsPerConversation: [],
    responseLengths: [],
  };
  for (const path of paths) {
    for await (const { text, number } of readTextLines(path)) {
      const cells = text.split('\t');
      const response = cells.at(-1);
      const context = cells.at(-2);
      if (context === undefined || response === undefined || cells.length > 3) {
        throw new UserError(
          `${path}:${number}: expected "context <tab> response"; give files that data extract or data import wrote.`,
        );
      }
      count(counts, context, response);
    }
  }
  return counts;
}

function count(counts: CorpusStatistics, context: string, response: string): void {
  const turns = [...context.split(' EOS '), response];
  const responseWords = wordsOf(response);
  counts.lines++;
  counts.sourceTokens += wordsOf(context);
  counts.targetTokens += responseWords;
  counts.turns += turns.length;
  counts.learnt += turns.filter((turn) => !turn.startsWith('0.0 ')).length;
  add(counts.turnsPerConversation, turns.length);
  const weight = /^[01]\.0 /.test(response) ? 1 : 0;
  add(counts.responseLengths, Math.floor((responseWords - weight) / LENGTH_STEP));
}

function wordsOf(text: string): number {
  return text.split(' ').filter((word) => word !== '').length;
}

function add(histogram: number[], index: number): void {
  while (histogram.length <= index) histogram.push(0);
  histogram[index] = at(histogram, index) + 1;
}
