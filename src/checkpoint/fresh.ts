import { Random } from '../base/random.js';
import { gpt2Config, type Gpt2Options, Parameters } from '../model/index.js';
import type { Tokenizer } from '../tokenizer/index.js';
import type { Checkpoint } from './folder.js';

/**
 * A model with fresh weights for a tokenizer.
 *
 * @param options the configuration; the vocabulary's size and end of text are the tokenizer's
 * @throws UserError if the configuration cannot be.
 */
export function freshCheckpoint(
  tokenizer: Tokenizer,
  options: Gpt2Options,
  seed: number,
): Checkpoint {
  const config = gpt2Config({
    ...options,
    vocab_size: tokenizer.size,
    bos_token_id: tokenizer.endOfText,
    eos_token_id: tokenizer.endOfText,
  });
  return { parameters: Parameters.initialize(config, new Random(seed)), tokenizer };
}
