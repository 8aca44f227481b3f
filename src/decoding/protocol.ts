import { MessagePort } from 'node:worker_threads';
import { z } from 'zod';
import { DECODING_TYPES } from '../checkpoint/index.js';
import { DEVICES } from '../runtime/index.js';
import type { GenerationOptions } from './options.js';

const rankerSchema = z.object({
  /** The name its scores have. */
  name: z.string(),
  /** A folder or file of a ranking model. */
  path: z.string(),
  weight: z.number().default(1),
  /** `prior` tells people's responses from others; `cond` tells how people like them. */
  kind: z.enum(['prior', 'cond']).default('cond'),
});

const classifierSchema = z.object({
  /** A folder with an ONNX text classifier as transformers.js reads it, or its name on the hub. */
  path: z.string(),
  /** The labels that stand for what must not be said; all but harmless ones unless given. */
  labels: z.array(z.string()).exactOptional(),
});

export const loadOptionsSchema = z.object({
  device: z.enum(DEVICES).exactOptional(),
  threads: z.number().exactOptional(),
  /** Whether a reply may not depend on what is computed beside it; with `fp32` it never does. */
  exact: z.boolean().exactOptional(),
  /** What its weights are: 32-bit numbers, unless `int8`, which is faster and a little different. */
  dtype: z.enum(DECODING_TYPES).exactOptional(),
  /** How many replies are generated side by side; others wait for their turn. 8 unless given. */
  slots: z.int().min(1).exactOptional(),
  /** A model of reversed conversations, for `rerank: 'mmi'`. */
  reverseModel: z.string().exactOptional(),
  /** Ranking models, for `rerank: 'ranker'`. */
  rankers: z.array(rankerSchema).exactOptional(),
  /** What looks at replies besides the block list, where the option `safety` is on. */
  safetyClassifier: classifierSchema.exactOptional(),
});

/** How a model is loaded: where it computes, and the models that choose among its replies. */
export type LoadOptions = z.input<typeof loadOptionsSchema>;

/** What a model's thread is asked: to reply to a history, over a port of its own. */
export interface ModelRequest {
  readonly history: readonly string[];
  readonly options: GenerationOptions;
  /** Whether all candidates are to be told. */
  readonly candidates: boolean;
  /** Pieces and the end come here; when the other side closes it, the reply ends early. */
  readonly port: MessagePort;
}

const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('piece'), text: z.string() }),
  z.object({
    type: z.literal('candidates'),
    candidates: z.array(z.object({ text: z.string(), scores: z.record(z.string(), z.number()) })),
  }),
  z.object({
    type: z.literal('intervention'),
    action: z.enum(['withheld', 'cut', 'refused']),
    entry: z.string(),
    message: z.string(),
  }),
  z.object({
    type: z.literal('done'),
    promptTokens: z.number(),
    completionTokens: z.number(),
    generatedTokens: z.number(),
    finish: z.enum(['stop', 'length', 'content-filter']),
  }),
  z.object({ type: z.literal('failed'), message: z.string(), user: z.boolean() }),
]);

/** What a model's thread says. */
export type ModelEvent = z.infer<typeof eventSchema>;

/** A message of a model's thread, checked. */
export function modelEvent(message: unknown): ModelEvent {
  return eventSchema.parse(message);
}

const requestSchema = z.object({
  history: z.array(z.string()),
  options: z.custom<GenerationOptions>((value) => typeof value === 'object'),
  candidates: z.boolean(),
  port: z.instanceof(MessagePort),
});

/** A message to a model's thread, checked; the options are checked where they are used. */
export function modelRequest(message: unknown): ModelRequest {
  return requestSchema.parse(message);
}
