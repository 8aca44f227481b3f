import { MessagePort } from 'node:worker_threads';
import { z } from 'zod';
import { DECODING_TYPES } from '../checkpoint/index.js';
import { DEVICES } from '../runtime/index.js';
import type { DecodingOptions, GenerationOptions } from './options.js';

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
  /**
   * What its weights are while it computes: 32-bit numbers, or `int8`, which is faster and a little
   * different. Unless given, as they are stored, and 32-bit numbers where `exact` asks for it.
   */
  dtype: z.enum(DECODING_TYPES).exactOptional(),
  /** How many replies are generated side by side; others wait for their turn. 8 unless given. */
  slots: z.int().min(1).exactOptional(),
  /**
   * Whether it says a word to itself before it is ready, so that its first reply is as fast as the
   * others: for programs that wait for people.
   */
  warmUp: z.boolean().exactOptional(),
  /** A model of reversed conversations, for `rerank: 'mmi'`. */
  reverseModel: z.string().exactOptional(),
  /** The same where the model names it itself: it is loaded when it is first needed. */
  ownReverseModel: z.string().exactOptional(),
  /** How it replies where a task does not say; the model's own defaults unless given. */
  defaults: z.custom<GenerationOptions>((value) => typeof value === 'object').exactOptional(),
  /** Ranking models, for `rerank: 'ranker'`. */
  rankers: z.array(rankerSchema).exactOptional(),
  /** What looks at replies besides the block list, where the option `safety` is on. */
  safetyClassifier: classifierSchema.exactOptional(),
});

/** What a model's thread is started with. */
export type WorkerOptions = z.input<typeof loadOptionsSchema>;

/** How a model is loaded: where it computes, and the models that choose among its replies. */
export type LoadOptions = Omit<WorkerOptions, 'ownReverseModel'>;

/** Something that a model is to do. */
export type ModelTask =
  | {
      readonly type: 'reply';
      readonly history: readonly string[];
      readonly options: GenerationOptions;
      /** Whether all candidates are to be told. */
      readonly candidates: boolean;
      /** How many of the likeliest tokens to tell at each place; without it, none are told. */
      readonly logprobs?: number | undefined;
    }
  | {
      readonly type: 'continuation';
      /** Text as it stands, in which `<|endoftext|>` is that token, or tokens. */
      readonly prompt: string | readonly number[];
      /** With `maxNewTokens: 0` nothing is generated. */
      readonly options: DecodingOptions;
      /** Whether the prompt itself comes first. */
      readonly echo: boolean;
      readonly logprobs?: number | undefined;
    }
  | {
      readonly type: 'ranking';
      readonly history: readonly string[];
      readonly responses: readonly string[];
    };

/** What a model's thread is asked, over a port of its own. */
export interface ModelRequest {
  readonly task: ModelTask;
  /** What comes of it comes here; when the other side closes it, the work ends early. */
  readonly port: MessagePort;
}

const tokenSchema = z.object({
  /** What the token reads as; bytes that are no whole character become U+FFFD. */
  text: z.string(),
  bytes: z.array(z.number()),
  /** The logarithm of its probability; none for the first token of all. */
  logprob: z.number().exactOptional(),
});

/** A token as it is told of. */
export type ToldToken = z.infer<typeof tokenSchema>;

const eventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('ready'),
    /** The most tokens that the model reads, the answer included. */
    positions: z.number(),
    vocabulary: z.number(),
  }),
  /** The prompt has been read: its tokens, and how many were known from before. */
  z.object({ type: z.literal('prompt'), tokens: z.number(), known: z.number() }),
  z.object({
    type: z.literal('piece'),
    text: z.string(),
    /** How many tokens have been chosen since the last piece; among candidates they are not told. */
    tokens: z.number(),
    /** These tokens, each with the likeliest in its place, where that was asked for. */
    logprobs: z.array(tokenSchema.extend({ likeliest: z.array(tokenSchema) })).exactOptional(),
  }),
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
  /** Generating has ended; see `ReplySummary`. */
  z.object({
    type: z.literal('end'),
    promptTokens: z.number(),
    completionTokens: z.number(),
    generatedTokens: z.number(),
    finish: z.enum(['stop', 'length', 'content-filter']),
  }),
  z.object({ type: z.literal('ranks'), scores: z.array(z.record(z.string(), z.number())) }),
  z.object({ type: z.literal('done') }),
  z.object({ type: z.literal('failed'), message: z.string(), user: z.boolean() }),
]);

/** What a model's thread says. */
export type ModelEvent = z.infer<typeof eventSchema>;

/** A message of a model's thread, checked. */
export function modelEvent(message: unknown): ModelEvent {
  return eventSchema.parse(message);
}

const requestSchema = z.object({
  task: z.custom<ModelTask>((value) => typeof value === 'object'),
  port: z.instanceof(MessagePort),
});

/** The message that ends a model's thread. */
export const END = 'end';

/** A message to a model's thread, checked; the task's options are checked where they are used. */
export function modelRequest(message: unknown): ModelRequest {
  return requestSchema.parse(message);
}
