import { Random } from '../base/random.js';
import type { Tokenizer } from '../tokenizer/index.js';
import type { Decoder } from './decoder.js';
import { promptTokens } from './history.js';
import { type GenerationOptions, generationOptions } from './options.js';
import { argmax, candidates, draw } from './sampling.js';

/** A number that nobody asked for, for replies without a seed. */
function freshSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}

/**
 * Generates the tokens after a prompt one by one, until the end of text, which is not among them.
 *
 * @param prompt at least one token
 */
export async function* generateTokens(
  decoder: Decoder,
  endOfText: number,
  prompt: readonly number[],
  options: GenerationOptions = {},
): AsyncGenerator<number, void, undefined> {
  const settings = generationOptions(options);
  const random = new Random(settings.seed ?? freshSeed());
  const ids = [...prompt];
  const longest = Math.min(settings.maxNewTokens, decoder.config.n_positions - prompt.length);
  for (let count = 0; count < longest; count++) {
    const logits = await decoder.logits(ids);
    if (count < settings.minNewTokens) logits[endOfText] = -Infinity;
    const token = settings.doSample ? draw(candidates(logits, settings), random) : argmax(logits);
    if (token === endOfText) return;
    yield token;
    ids.push(token);
  }
}

/**
 * A reply to the last turn of a conversation, piece by piece as it is generated.
 *
 * @param history the turns so far, oldest first
 */
export async function* streamReply(
  decoder: Decoder,
  tokenizer: Tokenizer,
  history: readonly string[],
  options: GenerationOptions = {},
): AsyncGenerator<string, void, undefined> {
  const { maxNewTokens, maxHistoryTurns } = generationOptions(options);
  const room = decoder.config.n_positions;
  const longest = Math.max(1, room - Math.min(maxNewTokens, Math.floor(room / 2)));
  const prompt = promptTokens(tokenizer, history, longest, maxHistoryTurns);
  const text = tokenizer.decoder();
  let started = false;
  for await (const token of generateTokens(decoder, tokenizer.endOfText, prompt, options)) {
    let piece = text.push(token);
    if (!started) piece = piece.trimStart();
    started ||= piece !== '';
    if (piece !== '') yield piece;
  }
  const rest = text.end();
  if (rest !== '') yield rest;
}
