import { z } from 'zod';
import { UserError } from '../../base/errors.js';
import { readJson, readLines } from '../../base/files.js';
import type { Importer, Message } from './importer.js';

/** A message's content: a string, or parts of which the text ones count. */
const contentSchema = z
  .union([
    z.string(),
    z.array(z.union([z.string(), z.object({ text: z.string().nullish() })])),
    // A message that only calls a tool.
    z.null(),
  ])
  .transform((content) => {
    if (content === null || typeof content === 'string') return content ?? '';
    return content.map((part) => (typeof part === 'string' ? part : (part.text ?? ''))).join('\n');
  });

const spoken = (speaker: string, text = ''): Message => ({ speaker, text });

const messageSchema = z.union([
  z.string().transform((text): Message => ({ text })),
  z
    .object({ role: z.string(), content: contentSchema.optional() })
    .transform(({ role, content }) => spoken(role, content)),
  z
    .object({ from: z.string(), value: contentSchema.optional() })
    .transform(({ from, value }) => spoken(from, value)),
  z
    .object({ speaker: z.string(), text: z.string() })
    .transform(({ speaker, text }) => spoken(speaker, text)),
  z
    .object({ speaker: z.string(), utterance: z.string() })
    .transform(({ speaker, utterance }) => spoken(speaker, utterance)),
]);

const messages = z.array(messageSchema);

const conversationSchema = z.union([
  messages,
  z.object({ messages }).transform((line) => line.messages),
  z.object({ conversations: messages }).transform((line) => line.conversations),
  z.object({ turns: messages }).transform((line) => line.turns),
  z.object({ dialog: messages }).transform((line) => line.dialog),
  z.object({ dialogue: messages }).transform((line) => line.dialogue),
  z.object({ utterances: messages }).transform((line) => line.utterances),
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
    .transform(({ prompt, completion }) => pair(prompt, completion)),
  z
    .object({ question: z.string(), answer: z.string() })
    .transform(({ question, answer }) => pair(question, answer)),
  z
    .object({ instruction: z.string(), input: z.string().nullish(), output: z.string() })
    .transform(({ instruction, input, output }) => pair(`${instruction}\n${input ?? ''}`, output)),
]);

function pair(context: string, response: string): Message[] {
  return [{ text: context }, { text: response }];
}

/** Roles whose messages are instructions or tools' output, not turns of the conversation. */
const NOT_SPOKEN = new Set([
  'system',
  'developer',
  'tool',
  'tool_call',
  'tool_response',
  'function',
  'function_call',
  'observation',
]);

/** Chat JSONL: one conversation a line, as chat APIs and fine-tuning files write them. */
export const jsonl: Importer = {
  description:
    'chat JSONL (or one JSON list): {"messages":[{"role","content"}]}, {"conversations":[{"from","value"}]}, {"turns":["…"]}, {"context","response"}',
  async *read(path) {
    let first = true;
    for await (const { text, number } of readLines(path)) {
      if (text.trim() === '') continue;
      if (first && !isConversation(text)) {
        const list = await readList(path);
        if (list !== undefined) {
          for (const [index, value] of list.entries()) {
            yield conversationOf(value, `${path}: entry ${index + 1}`);
          }
          return;
        }
      }
      first = false;
      yield conversationOf(parseJson(text, `${path}:${number}`), `${path}:${number}`);
    }
  },
};

/** Whether a line holds a conversation by itself. */
function isConversation(text: string): boolean {
  try {
    return conversationSchema.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

/** The file as one list of conversations; undefined where it is none. */
async function readList(path: string): Promise<readonly unknown[] | undefined> {
  try {
    return z.array(z.unknown()).parse(await readJson(path));
  } catch {
    return undefined;
  }
}

function parseJson(text: string, place: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    throw new UserError(`${place}: this line is not JSON; mend or remove it.`, { cause: error });
  }
}

function conversationOf(value: unknown, place: string): readonly Message[] {
  const parsed = conversationSchema.safeParse(value);
  if (!parsed.success) {
    throw new UserError(
      `${place}: this is no conversation; expected {"messages":[{"role":"user","content":"…"},…]} or one of the other forms in docs/data.md.`,
    );
  }
  return parsed.data.filter(
    ({ speaker }) => speaker === undefined || !NOT_SPOKEN.has(speaker.toLowerCase()),
  );
}
