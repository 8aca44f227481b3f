import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'libsql';
import { z } from 'zod';
import { messageOf, UserError, withFileErrors } from '../../base/errors.js';

/** The most turns of a chat that are kept; the model reads far fewer. */
const LONGEST = 200;

const chatSchema = z.object({
  /** What was said, oldest first; the person and the bot take turns. */
  turns: z.array(z.string()),
  persona: z.array(z.string()),
  /** Generation options that were set in this chat. */
  options: z.record(z.string(), z.number()),
});

/** What a bot knows of a chat. */
export type Chat = z.infer<typeof chatSchema>;

const incomingSchema = z.object({
  /** Where it was said. */
  chat: z.string(),
  /** Who said it. */
  person: z.string(),
  /** What they call themselves, if they do. */
  name: z.string().exactOptional(),
  text: z.string(),
});

/** Something that was said to a bot. */
export type Incoming = z.infer<typeof incomingSchema>;

/** Something that was said to a bot and has not been answered. */
export interface Unanswered {
  readonly id: number;
  readonly incoming: Incoming;
}

const contentRow = z.object({ content: z.string() });
const waitingRow = z.object({ id: z.number(), content: z.string() });

/**
 * What a bot remembers, in a file of SQLite: each chat, and what was said to it and not answered
 * yet. It survives the death of the process.
 */
export class BotMemory {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  /**
   * Opens a file, which is made if there is none.
   *
   * @throws UserError if it is no such file.
   */
  static async open(file: string): Promise<BotMemory> {
    const folder = dirname(file);
    await withFileErrors(folder, () => mkdir(folder, { recursive: true }));
    try {
      const database = new Database(file);
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      database.exec(`
        create table if not exists chats (chat text primary key, content text not null);
        create table if not exists unanswered (id integer primary key, content text not null);
      `);
      return new BotMemory(database);
    } catch (error) {
      throw new UserError(
        `${file}: cannot be used as a bot's memory: ${messageOf(error)}; name another file.`,
        { cause: error },
      );
    }
  }

  /** What is known of a chat. */
  chat(chat: string): Chat {
    const row = this.#database.prepare('select content from chats where chat = ?').get(chat);
    if (row === undefined) return { turns: [], persona: [], options: {} };
    return chatSchema.parse(JSON.parse(contentRow.parse(row).content));
  }

  /** Remembers a chat as it is now. */
  keep(chat: string, { turns, ...rest }: Chat): void {
    // Whole exchanges are forgotten, so that the person's turn stays first.
    const excess = Math.max(0, turns.length - LONGEST);
    const kept = { ...rest, turns: turns.slice(excess + (excess % 2)) };
    this.#database
      .prepare('insert or replace into chats values (?, ?)')
      .run(chat, JSON.stringify(kept));
  }

  /** Notes something that was said, until {@link answered}. */
  receive(incoming: Incoming): Unanswered {
    const { lastInsertRowid } = this.#database
      .prepare('insert into unanswered (content) values (?)')
      .run(JSON.stringify(incoming));
    return { id: Number(lastInsertRowid), incoming };
  }

  /** Everything that was said and not answered, the oldest first. */
  unanswered(): Unanswered[] {
    return this.#database
      .prepare('select id, content from unanswered order by id')
      .all()
      .map((row) => {
        const { id, content } = waitingRow.parse(row);
        return { id, incoming: incomingSchema.parse(JSON.parse(content)) };
      });
  }

  /** Something has been answered, or never will be. */
  answered({ id }: Unanswered): void {
    this.#database.prepare('delete from unanswered where id = ?').run(id);
  }

  /** Lets go of the file. */
  close(): void {
    this.#database.close();
  }
}
