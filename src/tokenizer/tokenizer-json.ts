import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { END_OF_TEXT, parseVocabulary, type Vocabulary } from './vocabulary.js';

const byteLevel = z.object({
  type: z.literal('ByteLevel'),
  add_prefix_space: z.literal(false),
  use_regex: z.literal(true).nullish(),
});

/** What GPT-2's tokenizer is in a `tokenizer.json`; whatever would make other tokens is refused. */
const fileSchema = z.object({
  normalizer: z.null().optional(),
  pre_tokenizer: z.union([
    byteLevel,
    z.object({ type: z.literal('Sequence'), pretokenizers: z.tuple([byteLevel]) }),
  ]),
  added_tokens: z
    .array(z.object({ id: z.number().int().nonnegative(), content: z.string() }))
    .default([]),
  model: z.object({
    type: z.literal('BPE').optional(),
    continuing_subword_prefix: z.literal('').nullish(),
    end_of_word_suffix: z.literal('').nullish(),
    byte_fallback: z.literal(false).optional(),
    ignore_merges: z.literal(false).optional(),
    vocab: z.record(z.string(), z.number().int().nonnegative()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
});

/**
 * The vocabulary in a `tokenizer.json`, the one file that `tokenizers` and `transformers` from
 * version 5 on write in place of `vocab.json` and `merges.txt`. Merges are texts there, or pairs
 * in newer files. `<|endoftext|>` may stand among the added tokens alone; other added tokens are
 * none of GPT-2's, and left out as those of `added_tokens.json` are.
 *
 * @param json what is in the file
 * @param path what the file is called, for messages
 * @throws UserError where it is damaged or not GPT-2's kind of tokenizer.
 */
export function parseTokenizerJson(json: unknown, path: string): Vocabulary {
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field =
      issue === undefined || issue.path.length === 0 ? 'the whole' : issue.path.join('.');
    throw new UserError(
      `${path}: this is no tokenizer of GPT-2's kind (byte-level BPE without a prefix space): ${field} is another; give a model with GPT-2's tokenizer.`,
    );
  }
  const { model, added_tokens: added } = parsed.data;
  const end = added.find(({ content }) => content === END_OF_TEXT);
  const ids = { ...(end !== undefined && { [END_OF_TEXT]: end.id }), ...model.vocab };
  const merges = model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
  return parseVocabulary(ids, merges.join('\n'), { vocabulary: path, merges: path });
}
