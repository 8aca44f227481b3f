import { UserError } from '../base/errors.js';
import { writeAll, writeFileWhole } from '../base/files.js';
import { cleanTurn, type Conversation, formatConversation } from './conversation.js';
import type { ImporterOptions, Message } from './importers/importer.js';
import { importers } from './importers/importers.js';

export interface ImportOptions extends ImporterOptions {
  /** A silence longer than this (hours) ends a conversation, where messages carry times; 6. */
  readonly gapHours?: number;
  /** Only this speaker's turns are learnt (weight 1); the others' are context (weight 0). */
  readonly speaker?: string;
}

/** What an import read and wrote. */
export interface ImportCounts {
  conversations: number;
  turns: number;
  /** Conversations left out because fewer than two people's turns remained. */
  tooShort: number;
}

/** Text is gathered to this many characters before it is written. */
const WRITE_LENGTH = 1 << 20;

/**
 * Imports files of one of the formats in {@link importers} and writes their conversations, one a
 * line, in the original's TSV format.
 *
 * @throws UserError where the format is unknown, a file is not in it, or nothing was found.
 */
export async function importConversations(
  format: string,
  paths: readonly string[],
  out: string,
  options: ImportOptions = {},
): Promise<ImportCounts> {
  const importer = importers.get(format);
  if (importer === undefined) {
    throw new UserError(
      `There is no importer "${format}"; choose one of ${[...importers.keys()].join(', ')}.`,
    );
  }
  const counts: ImportCounts = { conversations: 0, turns: 0, tooShort: 0 };
  await writeFileWhole(out, async (file) => {
    let pending = '';
    for (const path of paths) {
      for await (const messages of importer.read(path, options)) {
        for (const conversation of toConversations(messages, options)) {
          if (!isLearnable(conversation)) {
            counts.tooShort++;
            continue;
          }
          counts.conversations++;
          counts.turns += conversation.length;
          pending += `${formatConversation(conversation)}\n`;
        }
        if (pending.length > WRITE_LENGTH) {
          await writeAll(file, Buffer.from(pending));
          pending = '';
        }
      }
    }
    if (counts.conversations === 0) {
      throw new UserError(`${paths.join(', ')}: no conversation of two turns or more was found.`);
    }
    await writeAll(file, Buffer.from(pending));
  });
  return counts;
}

function isLearnable(conversation: Conversation): boolean {
  return conversation.length >= 2 && conversation.slice(1).some(({ weight }) => weight > 0);
}

/**
 * Messages as conversations: cleaned, empty ones dropped, messages that follow one another by the
 * same speaker joined to one turn, and cut where a silence is longer than `gapHours`. Where nobody has a
 * name, whoever speaks last is `assistant`, the other `user`, as chat APIs call them.
 */
export function toConversations(
  messages: readonly Message[],
  options: Pick<ImportOptions, 'gapHours' | 'speaker'> = {},
): Conversation[] {
  const longestGap = (options.gapHours ?? 6) * 3_600_000;
  const conversations: { speaker: string | undefined; text: string }[][] = [];
  let last: Message | undefined;
  for (const message of messages) {
    const text = cleanTurn(message.text);
    if (text === '') continue;
    const silent = (message.time ?? 0) - (last?.time ?? message.time ?? 0) > longestGap;
    let turns = conversations.at(-1);
    if (turns === undefined || silent) conversations.push((turns = []));
    const turn = turns.at(-1);
    if (turn?.speaker !== undefined && turn.speaker === message.speaker) turn.text += ` ${text}`;
    else turns.push({ speaker: message.speaker, text });
    last = message;
  }
  return conversations.map((turns) => {
    const named = turns.some(({ speaker }) => speaker !== undefined);
    return turns.map(({ speaker, text }, index) => {
      const name = named ? speaker : sideOf(turns.length - index);
      const weight = options.speaker === undefined || options.speaker === name ? 1 : 0;
      return { weight, text };
    });
  });
}

/** Who says a turn of a conversation without names, by its place from the end, from 1. */
function sideOf(place: number): string {
  return place % 2 === 1 ? 'assistant' : 'user';
}
