import { UserError } from '../base/errors.js';
import type { Tokenizer } from '../tokenizer/index.js';

/** A turn's tokens and the end of text; white space counts as single spaces, none at the ends. */
export function turnTokens(tokenizer: Tokenizer, turn: string): number[] {
  return [...tokenizer.encode(turn.trim().replace(/\s+/g, ' ')), tokenizer.endOfText];
}

/**
 * A conversation so far as the tokens that a reply is generated after: each turn followed by the
 * end-of-text token. If there are more turns or tokens than allowed, whole turns are left out from
 * the oldest on; the last turn is always there, cut at its start if it alone is too long.
 *
 * @param history the turns, oldest first; the last is the one to reply to
 * @param longest the most tokens
 * @param mostTurns the most turns; 0 is as many as there is room for
 * @throws UserError if there is nothing to reply to.
 */
export function promptTokens(
  tokenizer: Tokenizer,
  history: readonly string[],
  longest: number,
  mostTurns = 0,
): number[] {
  const turns = history
    .filter((turn) => turn.trim() !== '')
    .map((turn) => turnTokens(tokenizer, turn));
  const last = turns.pop();
  if (last === undefined)
    throw new UserError('There is nothing to reply to: the message is empty.');
  let prompt = last.slice(-longest);
  const earlier = mostTurns === 0 ? turns : turns.slice(Math.max(0, turns.length - mostTurns + 1));
  for (const turn of earlier.reverse()) {
    if (turn.length + prompt.length > longest) break;
    prompt = [...turn, ...prompt];
  }
  return prompt;
}

/**
 * The same after what the speaker is like: the persona's lines come first, each as a turn, and are
 * never left out.
 *
 * @throws UserError if the persona takes more than half of the room.
 */
export function personaPrompt(
  tokenizer: Tokenizer,
  persona: readonly string[],
  history: readonly string[],
  longest: number,
  mostTurns: number,
): number[] {
  const lines = persona
    .filter((line) => line.trim() !== '')
    .flatMap((line) => turnTokens(tokenizer, line));
  if (lines.length > longest / 2) {
    throw new UserError(
      `Generation option persona: its ${lines.length} tokens leave too little room of ${longest}; shorten it.`,
    );
  }
  return [...lines, ...promptTokens(tokenizer, history, longest - lines.length, mostTurns)];
}
