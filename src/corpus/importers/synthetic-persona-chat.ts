import { UserError } from '../../base/errors.js';
import { readCsvRows } from './csv-rows.js';
import type { Importer, Message } from './importer.js';

const COLUMN = 'Best Generated Conversation';

/** Synthetic-Persona-Chat (Jandaghi et al., 2023): a conversation a row, one `User 1: …` a line. */
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
      yield parseTurns(conversation);
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
