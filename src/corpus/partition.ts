import { CommentIndex } from './comment-index.js';
import { conversationsOf, type ConversationCounts, type ThreadRules } from './threads.js';

/** What one partition's rows were made into. */
export interface PartitionResult extends ConversationCounts {
  /** Comments whose thread is among the submissions kept. */
  comments: number;
  /** Lines `group <tab> conversation`, sorted by group and thread, UTF-8. */
  readonly lines: Uint8Array<ArrayBuffer>;
}

/** Groups are written with this many digits, so that they sort as text. */
const GROUP_DIGITS = 6;

/**
 * Makes the conversations of one partition: `rows` are what `RowReader` wrote, in the order of the
 * dumps, submissions first.
 */
export function buildPartition(rows: Uint8Array, rules: ThreadRules): PartitionResult {
  const index = new CommentIndex(rows, rules.splitSize);
  const result = { comments: 0, conversations: 0, responseWords: 0, skips: {} };
  const sorted = [...index.threads].sort((a, b) => a.group - b.group || (a.id < b.id ? -1 : 1));
  let text = '';
  for (const thread of sorted) {
    result.comments += thread.comments.length;
    const prefix = String(thread.group).padStart(GROUP_DIGITS, '0');
    for (const line of conversationsOf(thread, index, rules, result))
      text += `${prefix}\t${line}\n`;
  }
  return { ...result, lines: new TextEncoder().encode(text) };
}
