import { MessagePort } from 'node:worker_threads';
import { z } from 'zod';
import type { GenerationOptions } from './options.js';

/** What a model's thread is asked: to reply to a history, over a port of its own. */
export interface ModelRequest {
  readonly history: readonly string[];
  readonly options: GenerationOptions;
  /** Pieces and the end come here; when the other side closes it, the reply ends early. */
  readonly port: MessagePort;
}

const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('piece'), text: z.string() }),
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
  history: z.array(z.string()),
  options: z.custom<GenerationOptions>((value) => typeof value === 'object'),
  port: z.instanceof(MessagePort),
});

/** A message to a model's thread, checked; the options are checked where they are used. */
export function modelRequest(message: unknown): ModelRequest {
  return requestSchema.parse(message);
}
