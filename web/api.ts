import { EventSourceParserStream } from 'eventsource-parser/stream';
import * as z from 'zod/mini';
import {
  type Conversation,
  type ConversationChange,
  conversationSchema,
  type Message,
  messageSchema,
} from '../src/serving/conversations/types';

import { samplingSchema } from './settings';

export type { Conversation, Message };

const wholeSchema = z.object({
  conversation: conversationSchema,
  messages: z.array(messageSchema),
});

/** Everything that is known of a conversation. */
export type WholeConversation = z.infer<typeof wholeSchema>;

const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('piece'), text: z.string() }),
  z.object({ type: z.literal('message'), message: messageSchema }),
]);

/** What comes while a reply is generated. */
export type ReplyEvent = z.infer<typeof eventSchema>;

/** An error in OpenAI's shape. */
const failureSchema = z.object({ error: z.object({ message: z.string() }) });

const capabilitiesSchema = z.object({
  model: z.string(),
  /** The ways in which candidates can be ranked. */
  rerankers: z.array(z.enum(['mmi', 'ranker', 'value'])),
  /** How replies are generated where nothing is asked for. */
  defaults: samplingSchema,
});

/** What the server can do, for the page to offer. */
export type Capabilities = z.infer<typeof capabilitiesSchema>;

/** How a reply is asked for. */
export interface ReplyRequest {
  /** The turn to reply to. */
  readonly parent: string;
  /** Whether the candidates are to be kept with the reply. */
  readonly candidates: boolean;
  /** Generation options, named as in the library. */
  readonly options: Readonly<Record<string, unknown>>;
}

const KEY = 'dialogpt.key';

/** Whether the server wants an API key that this browser does not have. */
export class KeyNeededError extends Error {}

/** Remembers the API key for this browser. */
export function rememberKey(key: string): void {
  localStorage.setItem(KEY, key);
}

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const key = localStorage.getItem(KEY);
  if (key !== null) headers.set('authorization', `Bearer ${key}`);
  if (init.body !== undefined) headers.set('content-type', 'application/json');
  const response = await fetch(`api/${path}`, { ...init, headers });
  if (response.ok) return response;
  const text = await response.text();
  const message = messageOf(text) ?? `The server answered ${response.status}.`;
  throw response.status === 401 ? new KeyNeededError(message) : new Error(message);
}

/** The sentence of an error in OpenAI's shape. */
function messageOf(text: string): string | undefined {
  try {
    return failureSchema.parse(JSON.parse(text)).error.message;
  } catch {
    return undefined;
  }
}

/** What the server answers, checked. */
async function ask<T>(
  schema: z.ZodMiniType<T>,
  path: string,
  method = 'GET',
  body?: unknown,
): Promise<T> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  return schema.parse(await (await request(path, init)).json());
}

/** What the server can do. */
export function capabilities(): Promise<Capabilities> {
  return ask(capabilitiesSchema, 'capabilities');
}

/** All conversations that have the query's words, the latest first. */
export async function listConversations(query: string): Promise<readonly Conversation[]> {
  const path = `conversations?query=${encodeURIComponent(query)}`;
  const listSchema = z.object({ conversations: z.array(conversationSchema) });
  const { conversations } = await ask(listSchema, path);
  return conversations;
}

export function openConversation(id: string): Promise<WholeConversation> {
  return ask(wholeSchema, `conversations/${id}`);
}

export function createConversation(change: ConversationChange): Promise<Conversation> {
  return ask(conversationSchema, 'conversations', 'POST', change);
}

export function changeConversation(id: string, change: ConversationChange): Promise<Conversation> {
  return ask(conversationSchema, `conversations/${id}`, 'PATCH', change);
}

export async function removeConversation(id: string): Promise<void> {
  await request(`conversations/${id}`, { method: 'DELETE' });
}

/** Says something in a conversation. */
export function say(id: string, parent: string | null, content: string): Promise<Message> {
  const said = { content, ...(parent === null ? {} : { parent }) };
  return ask(messageSchema, `conversations/${id}/messages`, 'POST', said);
}

/** The text of a conversation as a file of its own. */
export async function exportConversation(id: string, format: string): Promise<Blob> {
  return (await request(`conversations/${id}/export?format=${format}`)).blob();
}

/** Asks for a reply, which the server keeps, whatever becomes of this page. */
export async function* reply(
  id: string,
  body: ReplyRequest,
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent, void, undefined> {
  const response = await request(`conversations/${id}/replies`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal,
  });
  if (response.body === null) return;
  const reader = response.body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (value.data === '[DONE]') return;
    const failed = messageOf(value.data);
    if (failed !== undefined) throw new Error(failed);
    yield eventSchema.parse(JSON.parse(value.data));
  }
}
