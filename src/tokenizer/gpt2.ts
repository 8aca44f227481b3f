import { createRequire } from 'node:module';
import { z } from 'zod';
import { Tokenizer } from './tokenizer.js';
import type { Vocabulary } from './vocabulary.js';

/** Tokens as texts, or as bytes where they are no text. */
const ranksSchema = z.object({
  default: z.array(z.union([z.string(), z.array(z.number())])),
});

/**
 * GPT-2's vocabulary of 50,257 tokens. It is loaded when it is needed: most programs meet a model
 * with a vocabulary of its own, and would start later for it.
 */
function gpt2Vocabulary(): Vocabulary {
  const encoder = new TextEncoder();
  const require = createRequire(import.meta.url);
  const { default: ranks } = ranksSchema.parse(require('gpt-tokenizer/bpeRanks/r50k_base'));
  return {
    tokens: ranks.map((token) =>
      typeof token === 'string' ? [...encoder.encode(token)] : [...token],
    ),
  };
}

let gpt2: Tokenizer | undefined;

/** GPT-2's own tokenizer. */
export function gpt2Tokenizer(): Tokenizer {
  return (gpt2 ??= new Tokenizer(gpt2Vocabulary()));
}
