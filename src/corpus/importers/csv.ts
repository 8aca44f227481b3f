import { UserError } from '../../base/errors.js';
import { readLines } from '../../base/files.js';
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
  time: ['time', 'timestamp', 'date', 'datetime', 'created_at', 'sent_at'],
  text: ['text', 'message', 'content', 'contents', 'utterance', 'body'],
  context: ['context', 'question', 'prompt', 'input', 'query'],
  response: ['response', 'answer', 'completion', 'output', 'reply'],
};

/**
 * CSV with a header: either one exchange a row (`context,response`), or one message a row
 * (`conversation,speaker,text`), where rows of the same conversation stand together; without a
 * conversation column the whole file is one, cut where a time column shows a long silence.
 */
export const csv: Importer = {
  description: 'CSV with a header: context,response or conversation,speaker,text',
  async *read(path, options) {
    let columns: Columns | undefined;
    let id: string | undefined;
    let messages: Message[] = [];
    for await (const { row } of readCsvRows(path, await findDelimiter(path))) {
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
      const time = columns.time === undefined ? NaN : parseTime(row[columns.time] ?? '');
      messages.push({
        text,
        ...(speaker !== undefined && { speaker }),
        ...(!Number.isNaN(time) && { time }),
      });
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
      readonly time: string | undefined;
    };

/** What stands between columns: of the usual signs, the one that the first line has most of. */
async function findDelimiter(path: string): Promise<string> {
  for await (const { text } of readLines(path)) {
    const count = (sign: string) => text.split(sign).length;
    return [',', ';', '\t', '|'].reduce((best, sign) => (count(sign) > count(best) ? sign : best));
  }
  return ',';
}

/** Milliseconds of a date, or of a number of seconds or milliseconds since 1970. */
function parseTime(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || Number.isNaN(number)) return Date.parse(text);
  return number < 1e11 ? number * 1000 : number;
}

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
    return {
      kind: 'messages',
      text,
      speaker: find('speaker'),
      conversation: find('conversation'),
      time: find('time'),
    };
  }
  throw new UserError(
    `${path}: no column looks like a message or a context and response (found ${names.join(', ')}); name them with --text-column or --context-column and --response-column.`,
  );
}
