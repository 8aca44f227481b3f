import {
  type Comment,
  conversationsOf,
  type ConversationCounts,
  type Submission,
  type ThreadRules,
} from './threads.js';
import { RowCursor } from './row-cursor.js';

/** What one partition's rows were made into. */
export interface PartitionResult extends ConversationCounts {
  /** Comments whose thread is among the submissions kept. */
  comments: number;
  /** Lines `group <tab> conversation`, sorted by group and thread, UTF-8. */
  readonly lines: Uint8Array<ArrayBuffer>;
}

/** A thread while its rows are gathered. */
interface Gathered {
  /** The first group of submissions that has this thread. */
  group: number;
  submission: Submission | undefined;
  readonly comments: Map<string, Comment>;
}

/** Groups are written with this many digits, so that they sort as text. */
const GROUP_DIGITS = 6;

/**
 * Makes the conversations of one partition: `rows` are what `RowReader` wrote, in the order of the
 * dumps, submissions first.
 */
export function buildPartition(rows: readonly Uint8Array[], rules: ThreadRules): PartitionResult {
  const threads = gather(rows, rules.splitSize);
  const result = { comments: 0, conversations: 0, responseWords: 0, skips: {} };
  const sorted = [...threads].map(([id, thread]) => ({ id, ...thread }));
  sorted.sort((a, b) => a.group - b.group || (a.id < b.id ? -1 : 1));
  let text = '';
  for (const { group, ...thread } of sorted) {
    result.comments += thread.comments.size;
    const prefix = String(group).padStart(GROUP_DIGITS, '0');
    for (const line of conversationsOf(thread, rules, result)) text += `${prefix}\t${line}\n`;
  }
  return { ...result, lines: new TextEncoder().encode(text) };
}

function gather(pieces: readonly Uint8Array[], splitSize: number): ReadonlyMap<string, Gathered> {
  const threads = new Map<string, Gathered>();
  for (const piece of pieces) {
    const row = new RowCursor(piece);
    while (row.next()) {
      const thread = threads.get(row.thread);
      if (row.isComment) {
        // The original has no use for comments of other months' submissions.
        if (thread === undefined) continue;
        const comment = { id: row.second, parent: row.third, score: row.number, text: row.text };
        thread.comments.set(comment.id, comment);
      } else {
        const group = Math.floor(row.number / splitSize);
        // The original reads a row without a title as none at all, but knows the thread.
        const submission = !row.text.isEmpty
          ? { subreddit: row.second.toLowerCase(), title: row.text }
          : undefined;
        if (thread === undefined) {
          threads.set(row.thread, { group, submission, comments: new Map() });
        } else if (group <= thread.group) {
          thread.group = group;
          thread.submission = submission ?? thread.submission;
        }
      }
    }
  }
  return threads;
}
