import { at } from '../../src/base/arrays.js';
import type { Reader } from '../../src/decoding/index.js';
import { gpt2Config } from '../../src/model/index.js';
import type { Tokenizer } from '../../src/tokenizer/index.js';

/** A reader whose model says these texts, one each time that it starts, the last one ever after. */
export function scriptedReader(tokenizer: Tokenizer, texts: readonly string[]): Reader {
  const config = gpt2Config({
    n_positions: 256,
    n_embd: 8,
    n_layer: 1,
    n_head: 1,
    vocab_size: tokenizer.size,
  });
  let starts = -1;
  return {
    config,
    read: (sequences) =>
      Promise.resolve(
        sequences.map(({ ids, prompt }) => {
          if (ids.length === prompt) starts += 1;
          const script = tokenizer.encode(at(texts, Math.min(starts, texts.length - 1)));
          const logits = new Float32Array(tokenizer.size).fill(-100);
          logits[script[ids.length - prompt] ?? tokenizer.endOfText] = 100;
          return { logits, states: new Float32Array(8), known: 0 };
        }),
      ),
  };
}
