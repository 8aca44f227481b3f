import { z } from 'zod';
import { UserError } from '../base/errors.js';
import type { Line } from '../base/files.js';

/** What stands between two turns of a context in the original's TSV format. */
const TURN_SEPARATOR = / EOS /;

/** The key that `data extract` writes as the first column. */
const KEY = /^t3_\w*,t[13]_\w*,t1_\w*$/;

const contentSchema = z.union([
  z.string(),
  z
    .array(z.object({ type: z.string(), text: z.string().optional() }))
    .transform((parts) => parts.map(({ text }) => text ?? '').join('\n')),
]);
const messageSchema = z.union([
  z.string().transform((content) => ({ role: '', content })),
  z.object({ role: z.string(), content: contentSchema }),
]);
const messages = z.array(messageSchema);
const chatSchema = z.union([
  messages,
  z.object({ messages }).transform((line) => line.messages),
  z.object({ turns: messages }).transform((line) => line.turns),
  z
    .object({ context: z.union([messages, z.string().transform((text) => messages.parse([text]))]) })
    .transform(({ context }) => context),
]);

/** Roles whose messages are instructions or tool output, not turns of the conversation. */
const NOT_SPOKEN = new Set(['system', 'developer', 'tool', 'function']);

/**
 * The conversations of a file, one a line, each to be replied to. Two forms are read; the first
 * line tells which:
 *
 * - text: `turn EOS turn`, optionally with weights (`0.0`, `1.0`) before turns; what follows a tab
 *   (references) is ignored, and so is the key column of `data extract`.
 * - chat JSONL: `{"messages":[{"role","content"},…]}`, `{"turns":["…",…]}`, `{"context":["…",…]}`
 *   or the list alone. Instructions (`system`) are left out; an `assistant` message at the end is a
 *   reference, and ignored.
 *
 * @param source the name to call the lines by in errors
 * @throws UserError that names the line where there is nothing to reply to, or it cannot be read.
 */
export async function readContexts(
  lines: AsyncIterable<Line>,
  source: string,
): Promise<readonly (readonly string[])[]> {
  const contexts: (readonly string[])[] = [];
  let chat: boolean | undefined;
  for await (const { text, number } of lines) {
    chat ??= isJson(text);
    const place = `${source}:${number}`;
    const turns = chat ? parseChat(text, place) : parseContext(text);
    if (turns.at(-1)?.trim() === '' || turns.length === 0) {
      throw new UserError(`${place}: there is nothing to reply to; mend or remove the line.`);
    }
    contexts.push(turns);
  }
  return contexts;
}

/** The turns of one line of text, oldest first (see {@link readContexts}). */
export function parseContext(line: string): string[] {
  const [first = '', second] = line.split('\t');
  const context = KEY.test(first) && second !== undefined ? second : first;
  return context
    .split(TURN_SEPARATOR)
    .map((turn) => turn.trim().replace(/^[01]\.0(?: |$)/, ''))
    .filter((turn, index, turns) => turn.trim() !== '' || index === turns.length - 1);
}

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function parseChat(text: string, place: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(
      `${place}: this line is not JSON, as the first one is; mend or remove it.`,
      { cause: error },
    );
  }
  const parsed = chatSchema.safeParse(value);
  if (!parsed.success) {
    throw new UserError(
      `${place}: this line is no conversation; expected {"messages":[{"role":"user","content":"…"},…]}.`,
    );
  }
  const spoken = parsed.data.filter(({ role }) => !NOT_SPOKEN.has(role));
  if (spoken.at(-1)?.role === 'assistant') spoken.pop();
  return spoken.map(({ content }) => content);
}
