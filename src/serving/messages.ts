import { z } from 'zod';
import { badField, unsupportedField } from './errors.js';

const part = z.object({
  type: z.string(),
  text: z.string().optional(),
  refusal: z.string().optional(),
});

/** A chat message; what of it this server does not understand is refused by name. */
export const messageSchema = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: z.union([z.string(), z.array(part)]).nullish(),
  name: z.string().nullish(),
  refusal: z.string().nullish(),
  tool_calls: z.array(z.unknown()).nullish(),
  function_call: z.unknown().optional(),
  audio: z.unknown().optional(),
});

type Message = z.infer<typeof messageSchema>;

/** A conversation as the model takes it. */
export interface Dialogue {
  /** What the speaker is like, one sentence each. */
  readonly persona: readonly string[];
  /** The turns by turns, oldest first; the last is the user's. */
  readonly history: readonly string[];
}

/**
 * The conversation that messages tell: the lines of system messages are the persona, messages of one
 * side in a row are one turn.
 *
 * @throws ApiError naming the message that cannot be.
 */
export function dialogueOf(messages: readonly Message[]): Dialogue {
  const persona: string[] = [];
  const turns: { readonly role: string; text: string }[] = [];
  for (const [index, message] of messages.entries()) {
    const path = `messages[${index}]`;
    const text = textOf(message, path);
    if (message.role === 'system' || message.role === 'developer') {
      persona.push(...text.split('\n').filter((line) => line.trim() !== ''));
      continue;
    }
    if (text.trim() === '') {
      if (message.role === 'assistant') continue;
      throw badField(`${path}.content`, 'The message is empty; there is nothing to reply to.');
    }
    const last = turns.at(-1);
    if (last?.role === message.role) last.text += ` ${text}`;
    else turns.push({ role: message.role, text });
  }
  if (turns.at(-1)?.role !== 'user') {
    throw badField('messages', 'The last message must be of the user, for the model to reply to.');
  }
  return { persona, history: turns.map(({ text }) => text) };
}

function textOf({ role, content, refusal, ...message }: Message, path: string): string {
  if (role === 'tool' || role === 'function') {
    throw unsupportedField(
      `${path}.role`,
      `This model uses no tools, so no one has the role ${role}.`,
    );
  }
  for (const field of ['tool_calls', 'function_call', 'audio'] as const) {
    const value = message[field];
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) {
      continue;
    }
    throw unsupportedField(`${path}.${field}`, 'This model reads and writes text only.');
  }
  if (typeof content === 'string') return content;
  if (content === undefined || content === null) {
    if (role === 'assistant') return refusal ?? '';
    throw badField(`${path}.content`, 'The message has no content.');
  }
  const texts = content.map(({ type, text, refusal: refused }, place) => {
    if (type === 'text' && text !== undefined) return text;
    if (type === 'refusal' && refused !== undefined) return refused;
    throw unsupportedField(
      `${path}.content[${place}]`,
      `This model reads text only; a part of the type ${JSON.stringify(type)} cannot be read.`,
    );
  });
  return texts.join('\n');
}
