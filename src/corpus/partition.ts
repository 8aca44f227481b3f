import { at } from '../base/arrays.js';
import {
  type Comment,
  conversationsOf,
  type ConversationCounts,
  type Submission,
  type ThreadRules,
} from './threads.js';

/** What one partition's rows were made into. */
export interface PartitionResult extends ConversationCounts {
  /** Comments whose thread is among the submissions kept. */
  comments: number;
  /** Lines `group <tab> conversation`, sorted by group and thread, UTF-8. */
  readonly lines: Uint8Array<ArrayBuffer>;
}

/** A thread while its rows are gathered. */
interface Gathered {
  /** The first group of submissions that has this thread, if one has. */
  group: number | undefined;
  submission: Submission | undefined;
  readonly comments: Map<string, Comment>;
}

/** Groups are written with this many digits, so that they sort as text. */
const GROUP_DIGITS = 6;

/**
 * Makes the conversations of one partition: `rows` are the lines that `readRows` wrote, in the
 * order of the dumps; `keptBefore` tells for each block of submissions how many were kept in the
 * blocks before it.
 */
export function buildPartition(
  rows: readonly Uint8Array[],
  keptBefore: readonly number[],
  rules: ThreadRules,
): PartitionResult {
  const threads = gather(rows, keptBefore, rules.splitSize);
  const result = { comments: 0, conversations: 0, responseWords: 0, skips: {} };
  const sorted = [...threads].flatMap(([id, { group, ...thread }]) =>
    group === undefined ? [] : [{ id, group, ...thread }],
  );
  sorted.sort((a, b) => a.group - b.group || (a.id < b.id ? -1 : 1));
  let text = '';
  for (const { group, ...thread } of sorted) {
    result.comments += thread.comments.size;
    const prefix = String(group).padStart(GROUP_DIGITS, '0');
    for (const line of conversationsOf(thread, rules, result)) text += `${prefix}\t${line}\n`;
  }
  return { ...result, lines: new TextEncoder().encode(text) };
}

function gather(
  pieces: readonly Uint8Array[],
  keptBefore: readonly number[],
  splitSize: number,
): ReadonlyMap<string, Gathered> {
  const threads = new Map<string, Gathered>();
  const threadOf = (id: string): Gathered => {
    let thread = threads.get(id);
    if (thread === undefined) {
      thread = { group: undefined, submission: undefined, comments: new Map() };
      threads.set(id, thread);
    }
    return thread;
  };
  for (const piece of pieces) {
    const text = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString();
    for (const row of text.split('\n')) {
      const [kind, id = '', second = '', third = '', fourth = '', last = ''] = row.split('\t');
      if (kind === 's') {
        const thread = threadOf(id);
        const place = at(keptBefore, Number(second)) + Number(third);
        const group = Math.floor(place / splitSize);
        if (thread.group !== undefined && thread.group < group) continue;
        thread.group = group;
        // The original reads a row without a title as none at all, but knows the thread.
        if (last !== '') thread.submission = { subreddit: fourth, title: last };
      } else if (kind === 'c') {
        const comment = { id: `t1_${second}`, parent: third, score: Number(fourth), text: last };
        threadOf(id).comments.set(comment.id, comment);
      }
    }
  }
  return threads;
}
