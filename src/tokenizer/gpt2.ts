import ranks from 'gpt-tokenizer/bpeRanks/r50k_base';
import { Tokenizer } from './tokenizer.js';
import type { Vocabulary } from './vocabulary.js';

/** GPT-2's vocabulary of 50,257 tokens. */
function gpt2Vocabulary(): Vocabulary {
  const encoder = new TextEncoder();
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
