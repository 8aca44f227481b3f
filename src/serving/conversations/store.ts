import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'libsql';
import { z } from 'zod';
import { messageOf, UserError, withFileErrors } from '../../base/errors.js';
import {
  type Conversation,
  type ConversationChange,
  conversationSchema,
  type Message,
  messageSchema,
  type NewMessage,
} from './types.js';

/** The shape of the tables; a file of a later shape is refused. */
const VERSION = 1;

const TABLES = `
  create table conversations (
    id text primary key, title text not null, persona text not null, head text,
    created_at text not null, updated_at text not null
  );
  create table messages (
    id text primary key,
    conversation text not null references conversations(id) on delete cascade,
    parent text, role text not null, content text not null,
    candidates text not null, interventions text not null, created_at text not null
  );
  create index messages_of_conversations on messages(conversation);
  create virtual table words using fts5(text, conversation unindexed, message unindexed);
`;

const CONVERSATION = `id, title, persona, head, created_at as createdAt, updated_at as updatedAt`;
const MESSAGE = `id, parent, role, content, candidates, interventions, created_at as createdAt`;

/** A column that holds JSON. */
const json = z.string().transform((text): unknown => JSON.parse(text));
const conversationRow = z
  .looseObject({ persona: json })
  .transform((row) => conversationSchema.parse(row));
const messageRow = z
  .looseObject({ candidates: json, interventions: json })
  .transform((row) => messageSchema.parse(row));

/**
 * Conversations in a file of SQLite. What a method has done when it returns survives the death of
 * the process and of the machine.
 */
export class ConversationStore {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  /**
   * Opens a file, which is made if there is none.
   *
   * @throws UserError if it is no file of conversations, or of a later version.
   */
  static async open(file: string): Promise<ConversationStore> {
    const folder = dirname(file);
    await withFileErrors(folder, () => mkdir(folder, { recursive: true }));
    try {
      const database = new Database(file);
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      database.pragma('foreign_keys = ON');
      database.pragma('busy_timeout = 5000');
      const { version } = z
        .object({ version: z.number() })
        .parse(database.prepare('select user_version as version from pragma_user_version').get());
      if (version > VERSION) {
        throw new Error(`it was written by a later version of dialogpt (format ${version})`);
      }
      if (version === 0) {
        database.transaction(() => {
          database.exec(TABLES);
          database.pragma(`user_version = ${VERSION}`);
        })();
      }
      return new ConversationStore(database);
    } catch (error) {
      throw new UserError(
        `${file}: cannot be used for conversations: ${messageOf(error)}; name another file.`,
        { cause: error },
      );
    }
  }

  /**
   * All conversations, the one last changed first; with a query, those with a turn or a title that
   * has words beginning with all of the query's.
   */
  list(query = ''): Conversation[] {
    const words = query.match(/[\p{L}\p{N}]+/gu) ?? [];
    if (query.trim() !== '' && words.length === 0) return [];
    const where =
      words.length === 0 ? '' : 'where id in (select conversation from words where words match ?)';
    // Quoted, a word is never taken for an operator of the query language.
    const match = words.map((word) => `"${word}"*`).join(' ');
    return this.#database
      .prepare(`select ${CONVERSATION} from conversations ${where} order by updated_at desc, id`)
      .all(...(words.length === 0 ? [] : [match]))
      .map((row) => conversationRow.parse(row));
  }

  /** A conversation by its id. */
  conversation(id: string): Conversation | undefined {
    const row = this.#database
      .prepare(`select ${CONVERSATION} from conversations where id = ?`)
      .get(id);
    return row === undefined ? undefined : conversationRow.parse(row);
  }

  /** All turns of a conversation, in the order in which they were said. */
  messages(id: string): Message[] {
    return this.#database
      .prepare(`select ${MESSAGE} from messages where conversation = ? order by rowid`)
      .all(id)
      .map((row) => messageRow.parse(row));
  }

  /** Starts a conversation. */
  create({ title = 'New conversation', persona = [] }: ConversationChange = {}): Conversation {
    const id = randomUUID();
    const now = new Date().toISOString();
    this.#database.transaction(() => {
      this.#database
        .prepare('insert into conversations values (?, ?, ?, null, ?, ?)')
        .run(id, title, JSON.stringify(persona), now, now);
      this.#note(title, id, '');
    })();
    return { id, title, persona: [...persona], head: null, createdAt: now, updatedAt: now };
  }

  /** Changes what is known of a conversation; undefined if there is none of this id. */
  change(id: string, change: ConversationChange): Conversation | undefined {
    return this.#database.transaction(() => {
      const known = this.conversation(id);
      if (known === undefined) return undefined;
      const changed: Conversation = { ...known, ...change };
      this.#database
        .prepare('update conversations set title = ?, persona = ?, head = ? where id = ?')
        .run(changed.title, JSON.stringify(changed.persona), changed.head, id);
      if (changed.title !== known.title) {
        this.#database.prepare(`delete from words where conversation = ? and message = ''`).run(id);
        this.#note(changed.title, id, '');
      }
      return changed;
    })();
  }

  /** Adds a turn, which becomes the head of its conversation. */
  add(conversation: string, message: NewMessage): Message {
    const added: Message = {
      candidates: [],
      interventions: [],
      ...message,
      id: randomUUID(),
      createdAt: new Date().toISOString(),
    };
    const { id, parent, role, content, candidates, interventions, createdAt } = added;
    this.#database.transaction(() => {
      this.#database
        .prepare('insert into messages values (?, ?, ?, ?, ?, ?, ?, ?)')
        .run(
          id,
          conversation,
          parent,
          role,
          content,
          JSON.stringify(candidates),
          JSON.stringify(interventions),
          createdAt,
        );
      this.#note(content, conversation, id);
      this.#database
        .prepare('update conversations set head = ?, updated_at = ? where id = ?')
        .run(id, createdAt, conversation);
    })();
    return added;
  }

  /** Forgets a conversation; false if there was none. */
  remove(id: string): boolean {
    return this.#database.transaction(() => {
      this.#database.prepare('delete from words where conversation = ?').run(id);
      return this.#database.prepare('delete from conversations where id = ?').run(id).changes > 0;
    })();
  }

  /** Lets go of the file. */
  close(): void {
    this.#database.close();
  }

  /** Makes a text findable. */
  #note(text: string, conversation: string, message: string): void {
    this.#database.prepare('insert into words values (?, ?, ?)').run(text, conversation, message);
  }
}

/** The turns from the first to one of them, along one branch. */
export function branchTo(messages: readonly Message[], last: string | null): Message[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const branch: Message[] = [];
  let at = last === null ? undefined : byId.get(last);
  while (at !== undefined && !branch.includes(at)) {
    branch.unshift(at);
    at = at.parent === null ? undefined : byId.get(at.parent);
  }
  return branch;
}
