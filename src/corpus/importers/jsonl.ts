import { z } from 'zod';
import { UserError } from '../../base/errors.js';
import { readLines } from '../../base/files.js';
import type { Importer, Message } from './importer.js';

/** A message's content: a string, or parts of which the text ones count. */
const contentSchema = z.union([
  z.string(),
  z
    .array(z.object({ type: z.string(), text: z.string().optional() }))
    .transform((parts) =>
      parts.flatMap(({ type, text }) => (type === 'text' ? [text ?? ''] : [])).join('\n'),
    ),
  z.null().transform(() => ''),
]);

const messageSchema = z.union([
  z.string().transform((text): Message => ({ text })),
  z
    .object({ role: z.string(), content: contentSchema })
    .transform(({ role, content }): Message => ({ speaker: role, text: content })),
  z
    .object({ from: z.string(), value: contentSchema })
    .transform(({ from, value }): Message => ({ speaker: from, text: value })),
  z
    .object({ speaker: z.string(), text: z.string() })
    .transform(({ speaker, text }): Message => ({ speaker, text })),
]);

const messages = z.array(messageSchema);

const conversationSchema = z.union([
  messages,
  z.object({ messages }).transform((line) => line.messages),
  z.object({ conversations: messages }).transform((line) => line.conversations),
  z.object({ turns: messages }).transform((line) => line.turns),
  z.object({ dialog: messages }).transform((line) => line.dialog),
  z
    .object({
      context: z.union([z.string().transform((text) => [text]), z.array(z.string())]),
      response: z.string(),
    })
    .transform(({ context, response }) =>
      [...context, response].map((text): Message => ({ text })),
    ),
  z
    .object({ prompt: z.string(), completion: z.string() })
    .transform(({ prompt, completion }): Message[] => [{ text: prompt }, { text: completion }]),
]);

/** Roles whose messages are instructions or tool output, not turns of the conversation. */
const NOT_SPOKEN = new Set(['system', 'developer', 'tool', 'function']);

/** Chat JSONL: one conversation a line, as chat APIs and fine-tuning files write them. */
export const jsonl: Importer = {
  description:
    'chat JSONL, one conversation a line: {"messages":[{"role","content"}]}, {"conversations":[{"from","value"}]}, {"turns":["…"]}, {"context","response"}',
  async *read(path) {
    for await (const { text, number } of readLines(path)) {
      if (text.trim() === '') continue;
      yield parseLine(text, `${path}:${number}`).filter(
        ({ speaker }) => speaker === undefined || !NOT_SPOKEN.has(speaker),
      );
    }
  },
};

function parseLine(text: string, place: string): readonly Message[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${place}: this line is not JSON; mend or remove it.`, { cause: error });
  }
  const parsed = conversationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UserError(
    `${place}: this line is no conversation; expected {"messages":[{"role":"user","content":"…"},…]} or one of the other forms in docs/data.md.`,
  );
}
