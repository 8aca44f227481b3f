import { at } from '../base/arrays.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { type Constraint, forbidRepeatedNgrams, forbidRuns } from './constraints.js';
import { turnTokens } from './history.js';
import type { CompleteGenerationOptions } from './options.js';

/**
 * What a reply must not be: empty, full of repetition, the same as what was said before, or
 * forbidden. Where nothing else is left, the reply ends.
 *
 * @param history all turns, oldest first; the last is the one to reply to
 * @param prompt the number of tokens that the reply comes after
 */
export function dialogueConstraints(
  tokenizer: Tokenizer,
  history: readonly string[],
  prompt: number,
  options: CompleteGenerationOptions,
): readonly Constraint[] {
  const { noRepeatReplyNgramSize, noRepeatHistoryNgramSize, noRepeatHistoryTurns } = options;
  const { badWords } = options;
  const constraints: Constraint[] = [];
  if (noRepeatReplyNgramSize > 0) {
    constraints.push(forbidRepeatedNgrams(noRepeatReplyNgramSize, prompt));
  }
  if (noRepeatHistoryNgramSize > 0) {
    const turns = noRepeatHistoryTurns === 'all' ? history : ownTurns(history);
    constraints.push(forbidEarlierNgrams(tokenizer, turns, noRepeatHistoryNgramSize, prompt));
  }
  if (badWords.length > 0) {
    constraints.push(forbidRuns(badWords.flatMap((word) => spellings(tokenizer, word))));
  }
  // Never an empty reply: it starts with something that can be seen.
  constraints.push(forbidStarts(blanksOf(tokenizer), prompt));
  return [...constraints, endWhereNothingIsLeft(tokenizer)];
}

/** The turns of the one who is to reply: every second from the end. */
function ownTurns(history: readonly string[]): string[] {
  return history.filter((_, index) => (history.length - index) % 2 === 0);
}

/** Forbids runs of tokens that were in one of these turns, ends of text at both sides included. */
function forbidEarlierNgrams(
  tokenizer: Tokenizer,
  turns: readonly string[],
  size: number,
  prompt: number,
): Constraint {
  const following = new Map<string, number[]>();
  for (const turn of turns) {
    const ids = [tokenizer.endOfText, ...turnTokens(tokenizer, turn)];
    for (let end = size; end <= ids.length; end++) {
      const key = ids.slice(end - size, end - 1).join();
      following.set(key, [...(following.get(key) ?? []), at(ids, end - 1)]);
    }
  }
  return (scores, ids) => {
    const start = ids.length - size + 1;
    // The end of text before the reply counts as its first token.
    if (start < prompt - 1) return;
    for (const token of following.get(ids.slice(start).join()) ?? []) scores[token] = -Infinity;
  };
}

/** A word as tokens: at the start of a text and within, as given, in small and capital letters. */
function spellings(tokenizer: Tokenizer, word: string): readonly (readonly number[])[] {
  const lower = word.toLowerCase();
  const capitalized = lower.charAt(0).toUpperCase() + lower.slice(1);
  const cases = new Set([word, lower, capitalized, word.toUpperCase()]);
  return [...cases].flatMap((text) => [tokenizer.encode(text), tokenizer.encode(` ${text}`)]);
}

const blankTokens = new WeakMap<Tokenizer, readonly number[]>();

/** The tokens that show nothing, the end of text among them. */
function blanksOf(tokenizer: Tokenizer): readonly number[] {
  const known = blankTokens.get(tokenizer);
  if (known !== undefined) return known;
  const blanks = [tokenizer.endOfText];
  for (let token = 0; token < tokenizer.endOfText; token++) {
    if (tokenizer.decode([token]).trim() === '') blanks.push(token);
  }
  blankTokens.set(tokenizer, blanks);
  return blanks;
}

/** Forbids that what comes after a prompt of this many tokens starts with one of these. */
export function forbidStarts(tokens: Iterable<number>, prompt: number): Constraint {
  return (scores, ids) => {
    if (ids.length > prompt) return;
    for (const token of tokens) scores[token] = -Infinity;
  };
}

/** The end of text stays possible where all else is forbidden. */
function endWhereNothingIsLeft({ endOfText }: Tokenizer): Constraint {
  return (scores) => {
    if (scores.every((score) => score === -Infinity)) scores[endOfText] = 0;
  };
}
