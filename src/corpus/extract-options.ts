import { createHash } from 'node:crypto';
import { pythonTrimEnd } from './python-text.js';
import { readLines } from '../base/files.js';

/** What reddit.py's flags of the same names say, with its defaults in {@link defaultRules}. */
export interface ExtractRules {
  /** The longest turn, in words or characters; a longer one ends the context before it. */
  readonly maxLen: number;
  /** `w` counts words, `c` characters. */
  readonly maxLenType: 'w' | 'c';
  /** The fewest turns of a conversation. */
  readonly minDepth: number;
  /** The most turns of a conversation, besides the title. */
  readonly maxDepth: number;
  /** The lowest score of a response. */
  readonly minScore: number;
  /** Whether the submission's title is the first turn. */
  readonly useTitle: boolean;
  /** Whether only comments that nobody answered are responses. */
  readonly leavesOnly: boolean;
  /** Whether the filters for clean conversations apply. */
  readonly clean: boolean;
  /** Submissions are taken in groups of this many; the output is sorted within a group. */
  readonly splitSize: number;
  /** Words and phrases to avoid in what is learnt; undefined where no list was given. */
  readonly blockedWords?: readonly string[];
  /** Subreddits to leave out, in lower case; undefined where no list was given. */
  readonly blockedSubreddits?: readonly string[];
}

export const defaultRules: ExtractRules = {
  maxLen: 30,
  maxLenType: 'w',
  minDepth: 2,
  maxDepth: 10,
  minScore: 0,
  useTitle: true,
  leavesOnly: false,
  clean: false,
  splitSize: 500_000,
};

/** A block list: one entry a line, lines that start with `#` are remarks. */
export async function readBlockList(path: string): Promise<string[]> {
  const entries: string[] = [];
  for await (const { text } of readLines(path)) {
    const entry = pythonTrimEnd(text);
    if (!text.startsWith('#') && entry !== '') entries.push(entry);
  }
  return entries;
}

/** A short name of everything that decides a month's output; equal inputs give equal names. */
export function fingerprintOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
