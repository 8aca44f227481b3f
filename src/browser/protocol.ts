import * as z from 'zod';
import type { GenerationOptions } from '../decoding/portable.js';
import type { BrowserLoadOptions } from './model.js';

/** What can be told a worker of how a model is loaded. */
export type WorkerLoadOptions = Pick<
  BrowserLoadOptions,
  'device' | 'threads' | 'runtimeFiles' | 'slots' | 'headers'
>;

/** What a worker is asked, over a port of its own. */
export type WorkerTask =
  | { readonly type: 'load'; readonly folder: string; readonly options: WorkerLoadOptions }
  | {
      readonly type: 'reply';
      readonly history: readonly string[];
      readonly options: GenerationOptions;
      /** Whether all candidates are to be told. */
      readonly candidates: boolean;
    };

/** The message over a task's port that ends it. */
export const STOP = 'stop';

/** One end of a channel, in browsers and in Node.js. */
export type Port = InstanceType<typeof MessagePort>;

const requestSchema = z.object({
  task: z.custom<WorkerTask>((value) => typeof value === 'object'),
  port: z.custom<Port>((value) => value instanceof MessagePort),
});

/** A message to a worker, checked; undefined if it is something else. */
export function workerRequest(message: unknown): z.infer<typeof requestSchema> | undefined {
  const parsed = requestSchema.safeParse(message);
  return parsed.success ? parsed.data : undefined;
}

const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('progress'), loaded: z.number(), total: z.number().optional() }),
  z.object({ type: z.literal('ready'), positions: z.number(), vocabulary: z.number() }),
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
    type: z.literal('summary'),
    promptTokens: z.number(),
    completionTokens: z.number(),
    generatedTokens: z.number(),
    finish: z.enum(['stop', 'length', 'content-filter']),
  }),
  z.object({ type: z.literal('done') }),
  z.object({ type: z.literal('failed'), message: z.string(), user: z.boolean() }),
]);

/** What a worker says of a task. */
export type WorkerEvent = z.infer<typeof eventSchema>;

/** A message of a worker, checked. */
export function workerEvent(message: unknown): WorkerEvent {
  return eventSchema.parse(message);
}
