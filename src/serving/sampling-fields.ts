import { z } from 'zod';
import { defined } from '../base/objects.js';
import type { GenerationOptions } from '../decoding/index.js';
import { badField, unsupportedField } from './errors.js';

/** The most choices of one request. */
export const MOST_CHOICES = 64;

const count = z.int().min(0);

/** Fields of chat and text completions that say how tokens are chosen. */
export const samplingFields = {
  model: z.string().describe('A model of GET /v1/models.'),
  stream: z.boolean().default(false),
  stream_options: z
    .object({
      include_usage: z.boolean().default(false),
      include_obfuscation: z.boolean().optional(),
    })
    .optional(),
  n: z.int().min(1).max(MOST_CHOICES).default(1),
  seed: z.int().optional().describe('Makes the answer repeatable.'),
  stop: z
    .union([z.string(), z.array(z.string()).max(4)], {
      error: 'it takes a string, or an array of up to four',
    })
    .optional()
    .describe('Up to four strings that end the answer; they are not part of it.'),
  temperature: z.number().min(0).max(2).optional().describe('0 takes the likeliest token always.'),
  top_p: z.number().min(0).max(1).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  logit_bias: z
    .record(z.string().regex(/^\d+$/, 'keys are token ids'), z.number().min(-100).max(100))
    .optional(),
  user: z.string().optional(),
  // Accepted for the sake of clients that always send them; they change nothing here.
  metadata: z.record(z.string(), z.string()).optional(),
  safety_identifier: z.string().optional(),
  prompt_cache_key: z.string().optional(),
  service_tier: z.string().optional(),
  store: z.boolean().optional(),
};

/** Fields of ours, named as in Hugging Face's `generate`; the library checks their values. */
export const extraFields = {
  do_sample: z.boolean().optional(),
  min_tokens: count.optional(),
  max_length: z.int().min(1).optional().describe('The most tokens, the prompt included.'),
  min_length: count.optional().describe('The fewest tokens, the prompt included.'),
  bad_words_ids: z.array(z.array(count).min(1)).optional(),
  top_k: count.optional(),
  min_p: z.number().optional(),
  typical_p: z.number().optional(),
  repetition_penalty: z.number().optional(),
  no_repeat_ngram_size: count.optional(),
  num_beams: z.int().max(MOST_CHOICES).optional(),
  num_beam_groups: z.int().optional(),
  diversity_penalty: z.number().optional(),
  length_penalty: z.number().optional(),
  early_stopping: z.union([z.boolean(), z.literal('never')]).optional(),
  penalty_alpha: z.number().optional(),
};

/** The fields of {@link samplingFields} and {@link extraFields}, checked. */
export type SamplingFields = z.infer<z.ZodObject<typeof samplingFields & typeof extraFields>>;

/**
 * The options of the library that the fields mean, without those that are not given.
 *
 * With temperature 0, the other fields of drawing mean nothing, as in OpenAI's API, whose clients
 * send them all the time; with `do_sample: false` they contradict it.
 *
 * @throws ApiError where temperature 0 and `do_sample` contradict each other.
 */
export function samplingOptions(fields: SamplingFields): GenerationOptions {
  const { temperature, logit_bias: bias } = fields;
  const greedy = temperature === 0;
  if (greedy && fields.do_sample === true) {
    throw badField('do_sample', 'do_sample: temperature 0 draws nothing; leave out one of them.');
  }
  const drawing = {
    temperature,
    // A share of 0 is that of the likeliest token alone.
    topP: fields.top_p === 0 ? Number.MIN_VALUE : fields.top_p,
    minP: fields.min_p,
    typicalP: fields.typical_p,
  };
  const contrastive = (fields.penalty_alpha ?? 0) > 0;
  return defined({
    ...(greedy ? { doSample: false } : { ...drawing, doSample: fields.do_sample }),
    topK: greedy && !contrastive ? undefined : fields.top_k,
    minNewTokens: fields.min_tokens,
    maxLength: fields.max_length,
    minLength: fields.min_length,
    badWordsIds: fields.bad_words_ids,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
    logitBias:
      bias === undefined
        ? undefined
        : Object.entries(bias).map(([token, value]): [number, number] => [Number(token), value]),
    repetitionPenalty: fields.repetition_penalty,
    noRepeatNgramSize: fields.no_repeat_ngram_size,
    numBeams: fields.num_beams,
    numBeamGroups: fields.num_beam_groups,
    diversityPenalty: fields.diversity_penalty,
    lengthPenalty: fields.length_penalty,
    earlyStopping: fields.early_stopping,
    penaltyAlpha: fields.penalty_alpha,
  });
}

/** The seed of one of several choices; the first has the seed itself, if it is an ordinary one. */
export function choiceSeed(seed: number | undefined, choice: number): { readonly seed?: number } {
  if (seed === undefined) return {};
  const positive = seed < 0 ? 2 ** 53 + seed : seed;
  // The library draws further sequences of one seed in the same way.
  return { seed: (positive % 2 ** 52) + choice * 2 ** 32 };
}

/** The strings that end an answer. */
export function stopStrings({ stop }: SamplingFields): readonly string[] {
  return stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop;
}

/** @throws ApiError where beams or candidates are asked for what only a single sequence has. */
export function checkSingleSequence(fields: SamplingFields, what: 'n' | 'logprobs'): void {
  const beams = fields.num_beams ?? 1;
  if (beams > 1) throw unsupportedField(what, 'It does not go together with num_beams.');
}
