import { at } from '../../base/arrays.js';
import { UserError } from '../../base/errors.js';
import { readCsvRows } from './csv-rows.js';
import type { Importer, Message } from './importer.js';

const COLUMN = 'Best Generated Conversation';

/** Names for those who are called `[user 1's name]` and the like. */
const NAMES = [
  ...['Alex', 'Anna', 'Ben', 'Carlos', 'Clara', 'Daniel', 'Emma', 'Fatima', 'Grace', 'Hana'],
  ...['Ivan', 'Jack', 'Julia', 'Kofi', 'Laura', 'Leo', 'Lily', 'Maria', 'Max', 'Mia'],
  ...['Nina', 'Noah', 'Omar', 'Paul', 'Priya', 'Rosa', 'Sam', 'Sofia', 'Tom', 'Yuki'],
] as const;

/** A name that was left open: of a speaker by number, or of the one who speaks. */
const OPEN_NAME =
  /[[(](?:user ?(\d)(?:'s)?(?: name)?|(?:your |insert |user)?name)[\])]|\buser (\d)(?:'s name)?\b/gi;

/**
 * Synthetic-Persona-Chat (Jandaghi et al., 2023): a conversation a row, one `User 1: …` a line.
 * Names that its generator left open (`[user 1's name]`, `(name)`) are filled, the same throughout a
 * conversation; where it left open anything else (`[city]`), the conversation ends before.
 */
export const syntheticPersonaChat: Importer = {
  description: "Synthetic-Persona-Chat's CSV files",
  async *read(path) {
    for await (const { row, line } of readCsvRows(path)) {
      const conversation = row[COLUMN];
      if (conversation === undefined) {
        throw new UserError(
          `${path}:${line}: there is no column "${COLUMN}"; give a CSV file of Synthetic-Persona-Chat.`,
        );
      }
      yield fillNames(parseTurns(conversation), conversation);
    }
  },
};

function parseTurns(conversation: string): Message[] {
  const messages: { speaker: string; text: string }[] = [];
  for (const line of conversation.split('\n')) {
    const turn = /^([\s*_]*)(User \d+)\s*:[*_ ]*(.*)$/i.exec(line);
    const last = messages.at(-1);
    // Some conversations are marked up: `*User 1:* Hi!`, `* User 1: Hi! *`.
    const [, lead = '', speaker = '', rest = ''] = turn ?? [];
    const text = lead.includes('*') ? rest.replace(/[\s*_]+$/, '') : rest;
    if (turn !== null) messages.push({ speaker, text });
    else if (last !== undefined) last.text += ` ${line}`;
  }
  return messages;
}

function fillNames(messages: readonly Message[], conversation: string): Message[] {
  const start = hashOf(conversation);
  const nameOf = (user: string) => at(NAMES, (start + Number(user) * 7) % NAMES.length);
  const filled: Message[] = [];
  for (const { speaker = '', text } of messages) {
    const own = /\d+$/.exec(speaker)?.[0] ?? '0';
    const full = text.replace(OPEN_NAME, (_, open?: string, called?: string) =>
      nameOf(open ?? called ?? own),
    );
    if (/\[[^\]]*\]/.test(full)) break;
    filled.push({ speaker, text: full });
  }
  return filled;
}

/** A number that depends on the text alone. */
function hashOf(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) {
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) >>> 0;
  }
  return hash;
}
