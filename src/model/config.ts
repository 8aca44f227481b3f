import { z } from 'zod';
import { UserError } from '../base/errors.js';

const count = z.number().int().positive();
const probability = z.number().min(0).lt(1);

/** The id of `<|endoftext|>`; null in some files, where GPT-2's own is meant. */
const tokenId = z
  .number()
  .int()
  .nonnegative()
  .nullish()
  .transform((id) => id ?? 50256);

/** A field that exists in other variants of GPT-2 and must have GPT-2's own value here. */
function fixed<T extends string | boolean>(value: T): z.ZodDefault<z.ZodLiteral<T>> {
  return z.literal(value).default(() => value);
}

/**
 * GPT-2's configuration, under Hugging Face's names (`GPT2Config`) and with its defaults. Fields
 * that we do not use are kept as they are.
 */
const configSchema = z.looseObject({
  model_type: fixed('gpt2'),
  /** Tokens in the vocabulary. */
  vocab_size: count.default(50257),
  /** The longest sequence. */
  n_positions: count.default(1024),
  /** The width of the hidden states. */
  n_embd: count.default(768),
  n_layer: count.default(12),
  n_head: count.default(12),
  /** The width of the feed-forward layer; null is four times `n_embd`. */
  n_inner: count.nullish().transform((width) => width ?? null),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  /** The standard deviation of freshly drawn weights. */
  initializer_range: z.number().positive().default(0.02),
  /** Dropout after the embeddings. */
  embd_pdrop: probability.default(0.1),
  /** Dropout of attention probabilities. */
  attn_pdrop: probability.default(0.1),
  /** Dropout before each addition to the residual stream. */
  resid_pdrop: probability.default(0.1),
  bos_token_id: tokenId,
  eos_token_id: tokenId,
  activation_function: fixed('gelu_new'),
  scale_attn_weights: fixed(true),
  scale_attn_by_inverse_layer_idx: fixed(false),
  tie_word_embeddings: fixed(true),
});

/** GPT-2's configuration, complete and checked. */
export type Gpt2Config = z.infer<typeof configSchema>;

/** Some of GPT-2's configuration; the rest is the default. */
export type Gpt2Options = Partial<z.input<typeof configSchema>>;

/** The three sizes that DialoGPT was published in (`configs/117M`, `345M` and `762M`). */
export const PUBLISHED_SIZES = {
  small: { n_embd: 768, n_layer: 12, n_head: 12 },
  medium: { n_embd: 1024, n_layer: 24, n_head: 16 },
  large: { n_embd: 1280, n_layer: 36, n_head: 20 },
} as const;

/**
 * Completes and checks a configuration.
 *
 * @param source where it comes from, for the message
 * @throws UserError naming the field that cannot be.
 */
export function gpt2Config(options: unknown = {}, source = 'The configuration'): Gpt2Config {
  const result = configSchema.safeParse(underOwnNames(options));
  if (!result.success) {
    const [issue] = result.error.issues;
    const field = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw new UserError(`${source} is not one of a GPT-2 model: ${field}${issue?.message ?? ''}.`);
  }
  const config = result.data;
  if (config.n_embd % config.n_head !== 0) {
    throw new UserError(
      `${source}: n_embd ${config.n_embd} is not a multiple of n_head ${config.n_head}.`,
    );
  }
  return config;
}

/** General names that `GPT2Config` takes for its own (its `attribute_map`). */
const GENERAL_NAMES: ReadonlyMap<string, string> = new Map([
  ['hidden_size', 'n_embd'],
  ['max_position_embeddings', 'n_positions'],
  ['num_attention_heads', 'n_head'],
  ['num_hidden_layers', 'n_layer'],
]);

/** The options with general names replaced by GPT-2's own, of which one given both ways is kept. */
function underOwnNames(options: unknown): unknown {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return options;
  const fields = new Map<string, unknown>(Object.entries(options));
  for (const [general, own] of GENERAL_NAMES) {
    if (!fields.has(general)) continue;
    if (!fields.has(own)) fields.set(own, fields.get(general));
    fields.delete(general);
  }
  return Object.fromEntries(fields);
}

/** The width of the feed-forward layer. */
export function innerWidth(config: Gpt2Config): number {
  return config.n_inner ?? 4 * config.n_embd;
}
