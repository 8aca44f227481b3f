import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { messageOf, UserError } from '../base/errors.js';
import { type Conversation, parseConversation } from '../corpus/conversation.js';
import { collapseSpaces } from '../corpus/python-text.js';
import type { Tokenizer } from '../tokenizer/index.js';
import type { BlockResult, BuildSettings, BuildTask } from './build-tasks.js';
import { type Split, SPLITS } from './dataset.js';
import { exampleSize, type TokenizedDialogue } from './example.js';
import { linesOf } from './line-batches.js';
import { type ShardRow, writeShard } from './shard.js';
import { cutByTurns, inputLength, splitDialogue } from './split.js';

/** Lines between two reports of progress. */
const REPORT_LINES = 256;

/** The name of the file that holds a block's examples of a split. */
export function shardName(split: Split, block: number): string {
  return `${split}-${String(block).padStart(5, '0')}.parquet`;
}

/**
 * Makes the examples of a block of lines and writes them into `folder`, a file for each split that
 * has any.
 *
 * @param onLines called with the number of lines done since the last call
 */
export async function buildBlock(
  task: BuildTask,
  folder: string,
  tokenizer: Tokenizer,
  settings: BuildSettings,
  onLines: (lines: number) => void,
): Promise<BlockResult> {
  const started = performance.now();
  const block = new Block(tokenizer, settings, task);
  let line = 0;
  for (const bytes of linesOf(task.bytes)) {
    if (!block.add(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'))) {
      break;
    }
    line += 1;
    if (line % REPORT_LINES === 0) onLines(REPORT_LINES);
  }
  onLines(line % REPORT_LINES);
  const { rows, result } = block.finish();
  const made = performance.now();
  if (result.broken === undefined) {
    for (const split of SPLITS) {
      if (rows[split].length === 0) continue;
      await writeShard(join(folder, shardName(split, task.block)), rows[split]);
    }
  }
  const seconds = {
    examples: (made - started) / 1000,
    writing: (performance.now() - made) / 1000,
  };
  return { ...result, seconds };
}

/** The examples of a block, while they are made. */
class Block {
  readonly #tokenizer: Tokenizer;
  readonly #settings: BuildSettings;
  readonly #split: Split | undefined;
  readonly #repeated: ReadonlySet<number>;
  readonly #counts = {
    conversations: 0,
    repeated: 0,
    brokenLines: 0,
    withoutResponse: 0,
    dropped: 0,
    longTurns: 0,
  };
  readonly #collectors: Readonly<Record<Split, Collector>>;
  #line: number;
  readonly #first: number;
  #broken: { readonly line: number; readonly message: string } | undefined;

  constructor(tokenizer: Tokenizer, settings: BuildSettings, task: BuildTask) {
    this.#tokenizer = tokenizer;
    this.#settings = settings;
    this.#split = task.split;
    this.#repeated = new Set(task.repeated);
    this.#line = this.#first = task.first;
    this.#collectors = {
      train: new Collector(settings.join ? settings.maxSequenceLength : 0),
      validation: new Collector(0),
    };
  }

  /** @returns whether to go on. */
  add(text: string): boolean {
    const line = this.#line++;
    if (this.#repeated.has(line - this.#first)) {
      this.#counts.conversations += 1;
      this.#counts.repeated += 1;
      return true;
    }
    let turns: Conversation;
    try {
      turns = parseConversation(text, this.#settings.compat);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#counts.brokenLines += 1;
      if (this.#settings.compat) return true;
      this.#broken = { line, message: messageOf(error) };
      return false;
    }
    this.#counts.conversations += 1;
    const dialogue = this.#tokenize(turns);
    const { maxTurns, validation } = this.#settings;
    const held = validation > 0 && hashShare(turns) < validation;
    const split = this.#split ?? (held ? 'validation' : 'train');
    for (const [cut, most] of maxTurns.entries()) {
      if (cut === 0) this.#addCut(line, split, dialogue, most, true);
      else if (split === 'train') this.#addCut(line, split, dialogue, most, false);
    }
    return true;
  }

  /** Adds what becomes of a conversation when it is cut after every so many turns. */
  #addCut(
    line: number,
    split: Split,
    dialogue: TokenizedDialogue,
    mostTurns: number,
    counted: boolean,
  ): void {
    const { maxSequenceLength, long } = this.#settings;
    const count = { pieces: 0, dropped: 0, longTurns: 0 };
    for (const part of cutByTurns(dialogue, mostTurns)) {
      if (part.turns.length < 2) continue;
      const { pieces, dropped, longTurns } = splitDialogue(part, maxSequenceLength, long);
      count.pieces += pieces.length;
      count.dropped += dropped;
      count.longTurns += longTurns;
      for (const piece of pieces) this.#collectors[split].add(line, piece);
    }
    if (!counted) return;
    this.#counts.dropped += count.dropped;
    this.#counts.longTurns += count.longTurns;
    if (count.pieces === 0 && count.dropped === 0) this.#counts.withoutResponse += 1;
  }

  /** Turns as token ids, as the original's `_get_inputs_from_text` prepares them. */
  #tokenize(conversation: Conversation): TokenizedDialogue {
    const { reverse, twoTurn, normalizeData } = this.#settings;
    // A response of weight 0 is nothing that anything is learnt from, not even as context.
    const learnable = conversation.at(-1)?.weight !== 0;
    let turns = learnable ? [...conversation] : conversation.slice(0, -1);
    if (reverse) turns.reverse();
    if (twoTurn) turns = turns.slice(0, 2);
    return {
      turns: turns.map(({ text }) =>
        this.#tokenizer.encode(normalizeData ? collapseSpaces(text) : text),
      ),
      weights: turns.map(({ weight }) => weight),
    };
  }

  finish(): {
    readonly rows: Readonly<Record<Split, readonly ShardRow[]>>;
    readonly result: Omit<BlockResult, 'seconds'>;
  } {
    const { train, validation } = this.#collectors;
    const [trained, held] = [train.finish(), validation.finish()];
    const result = {
      counts: this.#counts,
      splits: { train: trained.counts, validation: held.counts },
      ...(this.#broken !== undefined && { broken: this.#broken }),
    };
    return { rows: { train: trained.rows, validation: held.rows }, result };
  }
}

/**
 * A number from 0 to 1 that depends on a conversation's text alone, so that repeated conversations
 * are on the same side of a split, whatever else the corpus holds.
 */
function hashShare(conversation: Conversation): number {
  const text = conversation.map((turn) => turn.text).join('\t');
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}

/** Collects the examples of a split, and joins short ones. */
class Collector {
  readonly #joinedLength: number;
  readonly #rows: ShardRow[] = [];
  readonly #counts = { examples: 0, tokens: 0, labels: 0 };
  #waiting: ShardRow | undefined;

  /** @param joinedLength dialogues are joined to examples of up to this many tokens; 0: never */
  constructor(joinedLength: number) {
    this.#joinedLength = joinedLength;
  }

  add(conversation: number, { turns, weights }: TokenizedDialogue): void {
    const row = { conversation, turns, weights };
    if (this.#waiting === undefined) {
      this.#waiting = row;
      return;
    }
    const joined = follow(this.#waiting, row);
    if (inputLength(joined.turns) <= this.#joinedLength) {
      this.#waiting = joined;
      return;
    }
    this.#addExample(this.#waiting);
    this.#waiting = row;
  }

  finish() {
    if (this.#waiting !== undefined) this.#addExample(this.#waiting);
    return { rows: this.#rows, counts: this.#counts };
  }

  #addExample(row: ShardRow): void {
    const { tokens, labels } = exampleSize(row);
    if (labels === 0) return;
    this.#counts.examples += 1;
    this.#counts.tokens += tokens;
    this.#counts.labels += labels;
    this.#rows.push(row);
  }
}

/** One dialogue after another; the second one's opening is context, as it answers nothing. */
function follow(first: ShardRow, second: ShardRow): ShardRow {
  return {
    conversation: first.conversation,
    turns: [...first.turns, ...second.turns],
    weights: [...first.weights, 0, ...second.weights.slice(1)],
  };
}
