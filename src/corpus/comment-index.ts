import { at } from '../base/arrays.js';
import { BytesTable, doubled } from './bytes-table.js';
import { RowCursor } from './row-cursor.js';

/** A submission as its threads know it. */
export interface Submission {
  /** In lower case; empty where the permalink names none. */
  readonly subreddit: string;
  /** UTF-8. */
  readonly title: Uint8Array;
}

/** A submission's comments, as numbers of a {@link CommentIndex}. */
export interface Thread {
  /** The submission's id, with its `t3_`. */
  readonly id: string;
  /** The first group of submissions that has this thread. */
  readonly group: number;
  readonly submission: Submission | undefined;
  readonly comments: readonly number[];
}

type GatheredThread = { -readonly [Key in keyof Thread]: Thread[Key] } & { comments: number[] };

const TITLE_TAG = Buffer.from('t3_');

/**
 * The comments of one partition, numbered, with who answers whom. A partition has hundreds of
 * thousands; here they are numbers in arrays, and only those that become turns are made strings.
 *
 * The original looks a comment's parent up among all of a month's comments; Reddit's are always
 * in the same thread, so here a thread is all there is to know.
 */
export class CommentIndex {
  readonly #row: RowCursor;
  readonly #threads: GatheredThread[] = [];
  /** Where each comment's row starts. */
  #rows = new Int32Array(1 << 9);
  /** The number of the comment that each one answers, or −1. */
  readonly #parents: Int32Array;
  readonly #answered: Uint8Array;

  /**
   * @param rows what `RowReader` wrote, in the order of the dumps, submissions first
   * @param splitSize how many submissions make a group
   */
  constructor(rows: Uint8Array, splitSize: number) {
    this.#row = new RowCursor(rows);
    const ids = this.#gather(splitSize);
    this.#parents = new Int32Array(ids.size);
    this.#answered = new Uint8Array(ids.size);
    for (const [owner, { comments }] of this.#threads.entries()) {
      for (const comment of comments) {
        const { start, length } = this.#at(comment).thirdPlace;
        const parent = ids.find(start, length, owner);
        this.#parents[comment] = parent;
        if (parent >= 0) this.#answered[parent] = 1;
      }
    }
  }

  /** Reads all rows; returns the comments' ids, each under its thread's number. */
  #gather(splitSize: number): BytesTable {
    const row = this.#row;
    const names = new BytesTable(row.bytes);
    const ids = new BytesTable(row.bytes);
    while (row.next()) {
      const thread = row.threadPlace;
      if (row.isComment) {
        const owner = names.find(thread.start, thread.length, 0);
        // The original has no use for comments of other months' submissions.
        if (owner < 0) continue;
        const { start, length } = row.secondPlace;
        const known = ids.size;
        const comment = ids.add(start, length, owner);
        if (comment === this.#rows.length) this.#rows = doubled(this.#rows);
        this.#rows[comment] = row.start;
        if (comment === known) at(this.#threads, owner).comments.push(comment);
      } else this.#addSubmission(names.add(thread.start, thread.length, 0), splitSize);
    }
    return ids;
  }

  #addSubmission(number: number, splitSize: number): void {
    const row = this.#row;
    const group = Math.floor(row.number / splitSize);
    // The original reads a row without a title as none at all, but knows the thread.
    const submission = row.hasText
      ? { subreddit: row.second.toLowerCase(), title: row.text }
      : undefined;
    const thread = this.#threads[number];
    if (thread === undefined) {
      this.#threads.push({ id: row.thread, group, submission, comments: [] });
    } else if (group <= thread.group) {
      thread.group = group;
      thread.submission = submission ?? thread.submission;
    }
  }

  /** All threads that have a submission, in the order of the dump. */
  get threads(): readonly Thread[] {
    return this.#threads;
  }

  /** What a comment answers among the comments of its thread; −1 where it is not there. */
  parentOf(comment: number): number {
    return at(this.#parents, comment);
  }

  /** Whether any comment of the thread answers this one. */
  isAnswered(comment: number): boolean {
    return this.#answered[comment] === 1;
  }

  /** Whether a comment answers a submission. */
  answersSubmission(comment: number): boolean {
    const { bytes, thirdPlace } = this.#at(comment);
    const { start, length } = thirdPlace;
    return (
      length >= TITLE_TAG.length && TITLE_TAG.every((byte, index) => bytes[start + index] === byte)
    );
  }

  score(comment: number): number {
    return this.#at(comment).number;
  }

  /** A comment's id with its `t1_`. */
  id(comment: number): string {
    return this.#at(comment).second;
  }

  /** The id of what a comment answers, with its `t1_` or `t3_`. */
  parentId(comment: number): string {
    return this.#at(comment).third;
  }

  /** Whether a comment can be a turn; one that is too long has no text. */
  hasText(comment: number): boolean {
    return this.#at(comment).hasText;
  }

  /** UTF-8. */
  text(comment: number): Uint8Array {
    return this.#at(comment).text;
  }

  #at(comment: number): RowCursor {
    this.#row.goTo(at(this.#rows, comment));
    return this.#row;
  }
}
