import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { writeFileWhole, writeFolderWhole } from '../base/files.js';
import { type Conversation, readConversations } from '../corpus/conversation.js';
import { gpt2Tokenizer, saveVocabulary, type Tokenizer } from '../tokenizer/index.js';
import {
  DATASET_FILE,
  type DatasetDescription,
  type Split,
  type SplitDescription,
} from './dataset.js';
import { labelCount, toExample, type TokenizedDialogue } from './example.js';
import { type ShardRow, writeShard } from './shard.js';
import { inputLength, type LongMode, splitDialogue } from './split.js';

/** How {@link buildDataset} makes examples of conversations. */
export interface BuildOptions {
  /** The longest example, in tokens; 128. */
  readonly maxSequenceLength?: number;
  /** Learn the turns backwards, for the reverse model of MMI. */
  readonly reverse?: boolean;
  /** Take only the first two turns. */
  readonly twoTurn?: boolean;
  /** What becomes of long dialogues; `split`, or with `compat`, `compat`. */
  readonly long?: LongMode;
  /**
   * Let short dialogues follow one another in one training example until it is full. A small model
   * then sees every position, and conversations that change their subject.
   */
  readonly join?: boolean;
  /** Read weights as the original does, leave out broken lines, and split as it does. */
  readonly compat?: boolean;
  /** The share of conversations to hold out for validation, from 0 to 1; 0. */
  readonly validation?: number;
  /** Examples in a shard; 65,536 as in the original. */
  readonly shardSize?: number;
  /** Called now and then with the number of conversations read so far. */
  readonly onProgress?: (conversations: number) => void;
}

/**
 * Builds a dataset of a corpus in the TSV format: what the original's `prepro.py` does, stored as
 * Parquet shards with a `dataset.json` and, unless it is GPT-2's own, the tokenizer; whole or not
 * at all.
 *
 * @throws UserError if a line cannot be read (unless `compat`), or nothing can be learnt.
 */
export async function buildDataset(
  corpus: string,
  out: string,
  tokenizer: Tokenizer,
  options: BuildOptions = {},
): Promise<DatasetDescription> {
  const { maxSequenceLength = 128, reverse = false, twoTurn = false, compat = false } = options;
  const joinedLength = (options.join ?? false) ? maxSequenceLength : 0;
  const { long = compat ? 'compat' : 'split', validation = 0, shardSize = 65_536 } = options;
  const counts = { conversations: 0, brokenLines: 0, withoutResponse: 0, dropped: 0, longTurns: 0 };
  const tokenize = tokenizerOfTurns(tokenizer, { reverse, twoTurn });
  let description: DatasetDescription | undefined;

  await writeFolderWhole(out, async (folder) => {
    const writers = {
      train: new SplitWriter(folder, 'train', shardSize, tokenizer.endOfText, joinedLength),
      validation: new SplitWriter(folder, 'validation', shardSize, tokenizer.endOfText),
    };
    const readOptions = compat
      ? { compat, onBroken: () => void (counts.brokenLines += 1) }
      : { compat };
    for await (const { number, turns } of readConversations(corpus, readOptions)) {
      counts.conversations += 1;
      if (counts.conversations % 1000 === 0) options.onProgress?.(counts.conversations);
      const dialogue = tokenize(turns);
      const { pieces, dropped, longTurns } =
        dialogue.turns.length < 2
          ? { pieces: [], dropped: 0, longTurns: 0 }
          : splitDialogue(dialogue, maxSequenceLength, long);
      counts.dropped += dropped;
      counts.longTurns += longTurns;
      if (pieces.length === 0 && dropped === 0) counts.withoutResponse += 1;
      const split = validation > 0 && hashShare(turns) < validation ? 'validation' : 'train';
      for (const piece of pieces) await writers[split].add(number, piece);
    }
    const splits = {
      train: await writers.train.finish(),
      validation: await writers.validation.finish(),
    };
    if (splits.train.examples === 0) {
      throw new UserError(
        `${corpus}: nothing to train on was found in ${counts.conversations} conversations; each line must be "turn EOS turn <tab> response".`,
      );
    }
    description = {
      format: 'dialogpt-dataset-1',
      corpus,
      maxSequenceLength,
      reverse,
      twoTurn,
      long,
      endOfText: tokenizer.endOfText,
      counts,
      splits,
    };
    // GPT-2's own tokenizer is known everywhere; any other travels with what it made.
    if (tokenizer !== gpt2Tokenizer())
      await saveVocabulary(folder, tokenizer.vocabulary, maxSequenceLength);
    await writeFileWhole(join(folder, DATASET_FILE), `${JSON.stringify(description, null, 2)}\n`);
  });
  if (description === undefined) throw new Error('A dataset was written without a description.');
  return description;
}

/** Turns as token ids, as the original's `_get_inputs_from_text` prepares them. */
function tokenizerOfTurns(
  tokenizer: Tokenizer,
  { reverse, twoTurn }: { readonly reverse: boolean; readonly twoTurn: boolean },
): (conversation: Conversation) => TokenizedDialogue {
  return (conversation) => {
    // A response of weight 0 is nothing that anything is learnt from, not even as context.
    const learnable = conversation.at(-1)?.weight !== 0;
    let turns = learnable ? [...conversation] : conversation.slice(0, -1);
    if (reverse) turns.reverse();
    if (twoTurn) turns = turns.slice(0, 2);
    return {
      turns: turns.map(({ text }) => tokenizer.encode(text)),
      weights: turns.map(({ weight }) => weight),
    };
  };
}

/**
 * A number from 0 to 1 that depends on a conversation's text alone, so that repeated conversations
 * are on the same side of a split, whatever else the corpus holds.
 */
function hashShare(conversation: Conversation): number {
  const text = conversation.map((turn) => turn.text).join('\t');
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}

/** Collects the examples of a split and writes them shard by shard. */
class SplitWriter {
  readonly #folder: string;
  readonly #split: Split;
  readonly #shardSize: number;
  readonly #endOfText: number;
  readonly #joinedLength: number;
  readonly #description = { shards: new Array<string>(), examples: 0, tokens: 0, labels: 0 };
  #waiting: { readonly conversation: number; readonly dialogue: TokenizedDialogue } | undefined;
  #rows: ShardRow[] = [];

  /** @param joinedLength dialogues are joined to examples of up to this many tokens; 0: never */
  constructor(
    folder: string,
    split: Split,
    shardSize: number,
    endOfText: number,
    joinedLength = 0,
  ) {
    this.#folder = folder;
    this.#split = split;
    this.#shardSize = shardSize;
    this.#endOfText = endOfText;
    this.#joinedLength = joinedLength;
  }

  async add(conversation: number, dialogue: TokenizedDialogue): Promise<void> {
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#waiting = { conversation, dialogue };
      return;
    }
    const joined = follow(waiting.dialogue, dialogue);
    if (inputLength(joined.turns) <= this.#joinedLength) {
      this.#waiting = { ...waiting, dialogue: joined };
      return;
    }
    this.#waiting = { conversation, dialogue };
    await this.#addExample(waiting.conversation, waiting.dialogue);
  }

  async finish(): Promise<SplitDescription> {
    const waiting = this.#waiting;
    if (waiting !== undefined) await this.#addExample(waiting.conversation, waiting.dialogue);
    if (this.#rows.length > 0) await this.#writeRows();
    return this.#description;
  }

  async #addExample(conversation: number, { turns, weights }: TokenizedDialogue): Promise<void> {
    const example = toExample({ turns, weights }, this.#endOfText);
    if (example === undefined) return;
    this.#description.examples += 1;
    this.#description.tokens += example.inputIds.length;
    this.#description.labels += labelCount(example);
    this.#rows.push({
      conversation,
      tokenIds: turns.flatMap((turn) => Array.from(turn)),
      turnLengths: turns.map((turn) => turn.length),
      turnWeights: weights,
    });
    if (this.#rows.length >= this.#shardSize) await this.#writeRows();
  }

  async #writeRows(): Promise<void> {
    const number = String(this.#description.shards.length).padStart(5, '0');
    const name = `${this.#split}-${number}.parquet`;
    await writeShard(join(this.#folder, name), this.#rows);
    this.#description.shards.push(name);
    this.#rows = [];
  }
}

/** One dialogue after another; the second one's opening is context, as it answers nothing. */
function follow(first: TokenizedDialogue, second: TokenizedDialogue): TokenizedDialogue {
  return {
    turns: [...first.turns, ...second.turns],
    weights: [...first.weights, 0, ...second.weights.slice(1)],
  };
}
