import { UserError } from '../base/errors.js';
import type { Tokenizer } from '../tokenizer/index.js';

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
    .map((turn) => turn.trim().replace(/\s+/g, ' '))
    .filter((turn) => turn !== '')
    .map((turn) => [...tokenizer.encode(turn), tokenizer.endOfText]);
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
