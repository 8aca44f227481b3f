import { UserError } from '../base/errors.js';
import type { Tokenizer } from '../tokenizer/index.js';

/**
 * A conversation so far as the tokens that a reply is generated after: each turn followed by the
 * end-of-text token. If that is longer than `limit`, whole turns are left out from the oldest on;
 * the last turn is always there, cut at its start if it alone is too long.
 *
 * @param history the turns, oldest first; the last is the one to reply to
 * @param limit the most tokens
 * @throws UserError if there is nothing to reply to.
 */
export function promptTokens(
  tokenizer: Tokenizer,
  history: readonly string[],
  limit: number,
): number[] {
  const turns = history
    .map((turn) => turn.trim().replace(/\s+/g, ' '))
    .filter((turn) => turn !== '')
    .map((turn) => [...tokenizer.encode(turn), tokenizer.endOfText]);
  const last = turns.pop();
  if (last === undefined)
    throw new UserError('There is nothing to reply to: the message is empty.');
  let prompt = last.slice(-limit);
  for (const turn of turns.reverse()) {
    if (turn.length + prompt.length > limit) break;
    prompt = [...turn, ...prompt];
  }
  return prompt;
}
