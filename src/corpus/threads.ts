import { createHash } from 'node:crypto';
import type { CommentIndex, Thread } from './comment-index.js';
import type { ExtractRules } from './extract-options.js';
import type { SkipReason } from './extract-tasks.js';
import type { KeySet } from './key-set.js';
import type { Keywords } from './keywords.js';
import { normaliseText } from './normalise.js';

/** The second step, reddit.py's `save_convo`: the comments of one thread become conversations. */

/** What the rules are made into, once for all threads of a month. */
export interface ThreadRules extends ExtractRules {
  readonly keywords: Keywords;
  readonly keepKeys?: KeySet | undefined;
  /** The sha224 (hexadecimal) of turns that are not to be learnt. */
  readonly discardTargetKeys?: KeySet | undefined;
}

/** What was made of threads. */
export interface ConversationCounts {
  conversations: number;
  /** Words of all responses, weights among them. */
  responseWords: number;
  readonly skips: Partial<Record<SkipReason, number>>;
}

/** A turn as it is written, with what the filters ask about it. */
interface Turn {
  /** `1.0` or `0.0`, or empty where turns carry no weights. */
  readonly weight: string;
  readonly text: string;
  readonly words: number;
  readonly hasLink: boolean;
  readonly hasBrackets: boolean;
  readonly hasCapitals: boolean;
}

/**
 * The conversations of one thread, sorted as the original sorts them, each a line of its TSV.
 *
 * @param index where the thread's comments are
 */
export function conversationsOf(
  thread: Thread,
  index: CommentIndex,
  rules: ThreadRules,
  counts: ConversationCounts,
): string[] {
  const turns = new TurnCache(thread, index, rules);
  const found: Found[] = [];
  const skip = (reason: SkipReason): void => {
    counts.skips[reason] = (counts.skips[reason] ?? 0) + 1;
  };
  const refused = refuseThread(thread, rules);
  for (const comment of thread.comments) {
    if (rules.keepKeys?.has(`${thread.id}\t${index.id(comment)}\tkeep`) === false) continue;
    if (rules.leavesOnly && index.isAnswered(comment)) continue;
    if (refused !== undefined) {
      skip(refused);
      continue;
    }
    if (index.score(comment) < rules.minScore) {
      skip('low_score');
      continue;
    }
    const chain = contextOf(thread, comment, index, rules);
    if (chain === undefined) skip('exception');
    else if (chain.length < rules.minDepth) skip('min_depth');
    else {
      const conversation = chain.map((turn) => turns.get(turn));
      const filtered = rules.clean ? filter(conversation, rules) : undefined;
      if (filtered !== undefined) {
        skip(filtered);
        continue;
      }
      const written = conversation.map(write);
      const response = written.pop() ?? '';
      const context = written.join(' EOS ');
      const [id, parent] = [index.id(comment), index.parentId(comment)];
      found.push({ id, parent, line: `${thread.id},${parent},${id}\t${context}\t${response}` });
      counts.conversations++;
      counts.responseWords += wordsOf(conversation.slice(-1));
    }
  }
  return found.sort(byParentThenId).map(({ line }) => line);
}

/** A conversation, and the ids by which the original sorts. */
interface Found {
  readonly id: string;
  readonly parent: string;
  readonly line: string;
}

function byParentThenId(a: Found, b: Found): number {
  if (a.parent !== b.parent) return a.parent < b.parent ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

/** Why no comment of a thread can be a response. */
function refuseThread({ submission }: Thread, rules: ThreadRules): SkipReason | undefined {
  if (rules.blockedSubreddits === undefined) return undefined;
  if (submission === undefined || submission.subreddit === '') return 'missing';
  return rules.blockedSubreddits.includes(submission.subreddit) ? 'bad_subreddit' : undefined;
}

/** Stands for the title of the thread's submission where comments' numbers do for comments. */
const TITLE = -1;

/**
 * `get_convo`: the comment and what it answers, first turn first; empty where it is too long
 * itself, `undefined` where the title is wanted and missing.
 */
function contextOf(
  thread: Thread,
  comment: number,
  index: CommentIndex,
  rules: ThreadRules,
): number[] | undefined {
  const chain: number[] = [];
  let current = comment;
  for (let depth = rules.maxDepth; depth > 0 && current >= 0; depth--) {
    if (!index.hasText(current)) break;
    chain.push(current);
    if (rules.useTitle && index.answersSubmission(current)) {
      if (thread.submission === undefined) return undefined;
      chain.push(TITLE);
      break;
    }
    current = index.parentOf(current);
  }
  return chain.reverse();
}

const TITLE_PREFIX = Buffer.from('title: ');

/** Every turn's written form, made once however many conversations it stands in. */
class TurnCache {
  readonly #thread: Thread;
  readonly #index: CommentIndex;
  readonly #rules: ThreadRules;
  readonly #turns = new Map<number, Turn>();

  constructor(thread: Thread, index: CommentIndex, rules: ThreadRules) {
    this.#thread = thread;
    this.#index = index;
    this.#rules = rules;
  }

  get(source: number): Turn {
    let turn = this.#turns.get(source);
    if (turn === undefined) this.#turns.set(source, (turn = this.#make(source)));
    return turn;
  }

  #make(source: number): Turn {
    const text = normaliseText(
      source === TITLE
        ? Buffer.concat([TITLE_PREFIX, this.#thread.submission?.title ?? new Uint8Array()])
        : this.#index.text(source),
    );
    return {
      weight: this.#weight(text),
      text,
      words: countWords(text),
      hasLink: text.includes('__url__'),
      hasBrackets: /[[\]()]/.test(text),
      hasCapitals: /[A-Z]{5}/.test(text),
    };
  }

  #weight(text: string): string {
    const { leavesOnly, clean, keywords, discardTargetKeys } = this.#rules;
    if (!leavesOnly || !clean) return '';
    const discarded = discardTargetKeys?.has(createHash('sha224').update(text).digest('hex'));
    return discarded === true || keywords.foundIn(text) ? '0.0' : '1.0';
  }
}

/** How many words there are between single spaces. */
function countWords(text: string): number {
  if (text === '') return 0;
  let words = 1;
  for (let at = text.indexOf(' '); at >= 0; at = text.indexOf(' ', at + 1)) words++;
  return words;
}

function write({ weight, text }: Turn): string {
  return weight === '' ? text : `${weight} ${text}`;
}

/** How many words turns have when they are written after one another. */
function wordsOf(turns: readonly Turn[]): number {
  return turns.reduce((words, turn) => words + turn.words + (turn.weight === '' ? 0 : 1), 0);
}

/** `filter_instance`: why a conversation is not clean. */
function filter(conversation: readonly Turn[], rules: ThreadRules): SkipReason | undefined {
  const response = conversation.at(-1);
  if (response === undefined) return 'emptytarget';
  if (rules.blockedWords !== undefined && !rules.leavesOnly) {
    if (rules.keywords.foundIn(response.text)) return 'offensive';
  }
  const words = write(response).split(' ');
  if (wordsOf([response]) <= 1) return 'emptytarget';
  if (words.some((word) => word.length > 30)) return 'longword';
  const separators = Math.max(0, conversation.length - 2);
  if (wordsOf(conversation) + separators > 200) return 'toolong';
  if (conversation.some((turn) => turn.hasLink)) return 'url';
  if (conversation.some((turn) => turn.hasBrackets)) return 'tags';
  if (conversation.some((turn) => turn.hasCapitals)) return 'allcaps';
  const repeats = words.some(
    (word, index) => index >= 2 && words[index - 2] === word && words[index - 1] === word,
  );
  return repeats ? 'repetitions' : undefined;
}
