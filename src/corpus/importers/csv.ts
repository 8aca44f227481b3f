import { UserError } from '../../base/errors.js';
import { type Row, readCsvRows } from './csv-rows.js';
import type { CsvColumn, Importer, ImporterOptions, Message } from './importer.js';

/** The usual names of each column, compared in lower case. */
const USUAL_NAMES: Readonly<Record<CsvColumn, readonly string[]>> = {
  conversation: [
    'conversation',
    'conversation_id',
    'dialogue_id',
    'dialog_id',
    'thread_id',
    'chat_id',
    'session_id',
  ],
  speaker: ['speaker', 'author', 'role', 'sender', 'from', 'user', 'name'],
  text: ['text', 'message', 'content', 'utterance', 'body'],
  context: ['context', 'question', 'prompt', 'input', 'query'],
  response: ['response', 'answer', 'completion', 'output', 'reply'],
};

/**
 * CSV with a header: either one exchange a row (`context,response`), or one message a row
 * (`conversation,speaker,text`), where rows of the same conversation stand together; without a
 * conversation column the whole file is one.
 */
export const csv: Importer = {
  description: 'CSV with a header: context,response or conversation,speaker,text',
  async *read(path, options) {
    let columns: Columns | undefined;
    let id: string | undefined;
    let messages: Message[] = [];
    for await (const { row } of readCsvRows(path, path.endsWith('.tsv') ? '\t' : ',')) {
      columns ??= findColumns(path, row, options);
      if (columns.kind === 'pairs') {
        yield [{ text: row[columns.context] ?? '' }, { text: row[columns.response] ?? '' }];
        continue;
      }
      const rowId = columns.conversation === undefined ? '' : row[columns.conversation];
      if (rowId !== id && messages.length > 0) {
        yield messages;
        messages = [];
      }
      id = rowId;
      const speaker = columns.speaker === undefined ? undefined : row[columns.speaker];
      const text = row[columns.text] ?? '';
      messages.push(speaker === undefined ? { text } : { speaker, text });
    }
    if (messages.length > 0) yield messages;
  },
};

type Columns =
  | { readonly kind: 'pairs'; readonly context: string; readonly response: string }
  | {
      readonly kind: 'messages';
      readonly text: string;
      readonly speaker: string | undefined;
      readonly conversation: string | undefined;
    };

function findColumns(path: string, row: Row, options: ImporterOptions): Columns {
  const names = Object.keys(row);
  const find = (column: CsvColumn): string | undefined => {
    const chosen = options.columns?.[column];
    if (chosen === undefined) {
      return names.find((name) => USUAL_NAMES[column].includes(name.trim().toLowerCase()));
    }
    if (names.includes(chosen)) return chosen;
    throw new UserError(
      `${path}: there is no column "${chosen}"; the columns are ${names.join(', ')}.`,
    );
  };
  const text = find('text');
  const context = find('context');
  const response = find('response');
  if (context !== undefined && response !== undefined) return { kind: 'pairs', context, response };
  if (text !== undefined) {
    return { kind: 'messages', text, speaker: find('speaker'), conversation: find('conversation') };
  }
  throw new UserError(
    `${path}: no column looks like a message or a context and response (found ${names.join(', ')}); name them with --text-column or --context-column and --response-column.`,
  );
}
