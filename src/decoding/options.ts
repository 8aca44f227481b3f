import { z } from 'zod';
import { UserError } from '../base/errors.js';

const optionsSchema = z
  .strictObject({
    /** The most tokens of a reply. */
    maxNewTokens: z.number().int().positive().default(60),
    /** The fewest tokens of a reply; the end of text is not chosen before. */
    minNewTokens: z.number().int().nonnegative().default(1),
    /** Draw tokens at random by their probabilities; without it, always the likeliest one. */
    doSample: z.boolean().default(true),
    /** Divides the logits: below 1 makes likely tokens likelier still. */
    temperature: z.number().positive().default(0.7),
    /** Draw from this many likeliest tokens only; 0 is all. */
    topK: z.number().int().nonnegative().default(40),
    /** Draw from the likeliest tokens that together have this probability. */
    topP: z.number().gt(0).max(1).default(1),
    /** The most turns of the conversation that are read, the last included; 0 is all there is room for. */
    maxHistoryTurns: z.number().int().nonnegative().default(5),
    /** Where the drawing of random numbers starts; without it, every reply differs. */
    seed: z.number().int().nonnegative().optional(),
  })
  .refine((options) => options.minNewTokens <= options.maxNewTokens, {
    message: 'is more than maxNewTokens',
    path: ['minNewTokens'],
  });

/** How a reply is decoded; names and meanings are those of Hugging Face's `generate`. */
export type GenerationOptions = z.input<typeof optionsSchema>;

/** {@link GenerationOptions}, complete and checked. */
export type CompleteGenerationOptions = z.infer<typeof optionsSchema>;

/**
 * Completes and checks generation options.
 *
 * @throws UserError naming the option that cannot be.
 */
export function generationOptions(options: GenerationOptions = {}): CompleteGenerationOptions {
  const result = optionsSchema.safeParse(options);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new UserError(`Generation option ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}.`);
}
