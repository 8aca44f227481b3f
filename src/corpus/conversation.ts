import { messageOf, UserError } from '../base/errors.js';
import { readLines } from '../base/files.js';
import { collapseSpaces, pythonFloat, pythonSplit, pythonTrim } from './python-text.js';

/** One person's turn. */
export interface ConversationTurn {
  /** How much the turn counts in training: 0 is context only, 1 is to be learnt. */
  readonly weight: number;
  readonly text: string;
}

/** At least two turns in the order they were said; the last is the response. */
export type Conversation = readonly ConversationTurn[];

/** A conversation and the line (counted from 1) on which it stands. */
export interface ConversationLine {
  readonly number: number;
  readonly turns: Conversation;
}

/** What stands between two turns of a context. */
const TURN_SEPARATOR = ' EOS ';

export interface TsvOptions {
  /**
   * Read weights as the original's prepro.py (`_norm_text`) does: whatever Python's `float()`
   * takes is a weight, so "20 years old ." becomes weight 20 and "years old .". By default only
   * the literals `0.0` and `1.0` are weights.
   */
  readonly compat?: boolean;
  /** Called for a line that cannot be read, which is then left out; without it, it is thrown. */
  readonly onBroken?: (error: UserError) => void;
}

/**
 * The conversations of a file in the original's format, one a line:
 * `turn EOS turn EOS turn \t response`, every turn with or without a weight before it. The key
 * column that `data extract` writes first may be there.
 *
 * @throws UserError that names file and line where a line cannot be read.
 */
export async function* readConversations(
  path: string,
  options: TsvOptions = {},
): AsyncGenerator<ConversationLine, void, undefined> {
  for await (const { text, number } of readLines(path)) {
    let turns: Conversation;
    try {
      turns = parseConversation(text, options.compat);
    } catch (error) {
      const located = new UserError(`${path}:${number}: ${messageOf(error)}`, { cause: error });
      if (options.onBroken === undefined) throw located;
      options.onBroken(located);
      continue;
    }
    yield { number, turns };
  }
}

const KEY = /^t3_\w*,t[13]_\w*,t1_\w*$/;

/**
 * One line of the TSV format (see {@link readConversations}); `compat` follows the original's
 * `_get_inputs_from_text`, which has no key column and refuses empty turns.
 *
 * @throws UserError where the line is not two columns, or a turn is empty.
 */
export function parseConversation(line: string, compat = false): Conversation {
  const columns = (compat ? pythonTrim(line) : line).split('\t');
  if (!compat && columns.length === 3 && KEY.test(columns[0] ?? '')) columns.shift();
  const [context, response] = columns;
  if (context === undefined || response === undefined || columns.length !== 2) {
    throw new UserError(
      `expected "turn EOS turn <tab> response", found ${columns.length - 1} tabs; mend or remove the line.`,
    );
  }
  return [...context.split(TURN_SEPARATOR), response].map(compat ? parseTurnCompat : parseTurn);
}

function parseTurn(turn: string): ConversationTurn {
  const text = pythonTrim(turn);
  const weight = /^([01]\.0)(?: |$)/.exec(text)?.[1];
  if (weight !== undefined) {
    return { weight: Number(weight), text: pythonTrim(text.slice(weight.length)) };
  }
  if (text === '') throw new UserError('a turn is empty; mend or remove the line.');
  return { weight: 1, text };
}

/** The original's `_norm_text` (prepro.py). */
function parseTurnCompat(turn: string): ConversationTurn {
  const words = pythonSplit(turn);
  const [first] = words;
  if (first === undefined) throw new UserError('a turn is empty; mend or remove the line.');
  const weight = pythonFloat(first);
  return weight === undefined
    ? { weight: 1, text: words.join(' ') }
    : { weight, text: words.slice(1).join(' ') };
}

/**
 * A text as a turn that the TSV format can hold: runs of white space become one space, and a word
 * `EOS`, which would read as the end of the turn, becomes `eos`.
 */
export function cleanTurn(text: string): string {
  return collapseSpaces(text.replaceAll('\uFEFF', ' ')).replace(/(?<![^ ])EOS(?![^ ])/g, 'eos');
}

/**
 * A conversation as a line (without line end) that {@link parseConversation} reads back, with or
 * without `compat`: a weight is written where it is 0 or where the turn's first word could be
 * taken for one. Turns must be clean ({@link cleanTurn}).
 *
 * @throws RangeError for fewer than two turns, or a weight other than 0 and 1.
 */
export function formatConversation(conversation: Conversation): string {
  if (conversation.length < 2) {
    throw new RangeError(`A conversation of ${conversation.length} turns has no response.`);
  }
  const turns = conversation.map(formatTurn);
  const response = turns.pop() ?? '';
  return `${turns.join(TURN_SEPARATOR)}\t${response}`;
}

function formatTurn({ weight, text }: ConversationTurn): string {
  if (weight !== 0 && weight !== 1) {
    throw new RangeError(`A turn's weight of ${weight} cannot be written; only 0 and 1 can.`);
  }
  const [first] = pythonSplit(text);
  const plain = weight === 1 && first !== undefined && pythonFloat(first) === undefined;
  return plain ? text : `${weight}.0 ${text}`;
}
