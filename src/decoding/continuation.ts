import { at, range, sum } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { END_OF_TEXT, type Tokenizer } from '../tokenizer/portable.js';
import { searchOf } from './generate.js';
import { type DecodingOptions, decodingOptions } from './options.js';
import type { Reader } from './reader.js';
import type { ReplyServices } from './reply.js';
import { runSearch } from './search.js';
import { reportToken, searchTask, type TokenReport } from './task.js';

/**
 * The tokens of a text that is to be continued as it stands. `<|endoftext|>` in it stands for the
 * token that ends a turn; an empty text is that token alone.
 *
 * @param positions the most tokens that the model can read
 * @throws UserError if there is no room for a single token after it, or a token is none.
 */
export function continuationPrompt(
  tokenizer: Tokenizer,
  text: string | readonly number[],
  positions: number,
): number[] {
  const ids =
    typeof text === 'string'
      ? text
          .split(END_OF_TEXT)
          .flatMap((part, index) => [
            ...(index === 0 ? [] : [tokenizer.endOfText]),
            ...tokenizer.encode(part),
          ])
      : [...text];
  const stranger = ids.find((id) => id > tokenizer.endOfText);
  if (stranger !== undefined) {
    throw new UserError(
      `The prompt has the token ${stranger}, but the model's last is ${tokenizer.endOfText}.`,
    );
  }
  if (ids.length >= positions) {
    throw new UserError(
      `The prompt has ${ids.length} tokens, but the model reads ${positions} together with the answer; shorten it.`,
    );
  }
  return ids.length === 0 ? [tokenizer.endOfText] : ids;
}

/**
 * Continues a prompt as it stands, piece by piece: no rule of conversations holds.
 *
 * @param prompt at least one token
 * @throws UserError if an option cannot be, or contradicts another.
 */
export async function* streamContinuation(
  reader: Reader,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  options: DecodingOptions = {},
  { report, onSummary }: Pick<ReplyServices, 'report' | 'onSummary'> = {},
): AsyncGenerator<string, void, undefined> {
  const text = tokenizer.decoder();
  const { n_positions: positions } = reader.config;
  const complete = decodingOptions(options);
  const task = searchTask(prompt, tokenizer.endOfText, positions, complete, [], report);
  const tokens = runSearch(reader, searchOf(task));
  let step = await tokens.next();
  for (; step.done !== true; step = await tokens.next()) {
    // A search with beams tells nobody which tokens it chose: it knows late, and of no probabilities.
    if (complete.numBeams > 1) report?.onToken({ token: step.value });
    yield text.push(step.value);
  }
  yield text.end();
  const generated = step.value.map((generation) => generation.tokens.length);
  onSummary?.({
    promptTokens: prompt.length,
    completionTokens: generated[0] ?? 0,
    generatedTokens: sum(generated),
    finish: step.value[0]?.ended === true ? 'stop' : 'length',
  });
}

/** Tells of the tokens of a prompt as if they had been chosen; nothing comes before the first. */
export async function reportPrompt(
  reader: Reader,
  prompt: readonly number[],
  report: TokenReport,
): Promise<void> {
  report.onToken({ token: at(prompt, 0) });
  for (const end of range(1, prompt.length)) {
    const readings = await reader.read([{ ids: prompt.slice(0, end), prompt: 1 }]);
    reportToken(report, at(readings, 0).logits, at(prompt, end));
  }
}
