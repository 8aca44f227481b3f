import { join } from 'node:path';
import { z } from 'zod';
import { at } from '../base/arrays.js';
import { describeIssue, UserError } from '../base/errors.js';
import { exists, readJson } from '../base/files.js';
import { type Example, toExample } from './example.js';
import { LONG_MODES } from './split.js';
import { type ExampleShape, Shard, type ShardRow } from './shard.js';

/** The file that describes a dataset; written last, so a folder without it is not one. */
export const DATASET_FILE = 'dataset.json';

/** The parts of a dataset: what is trained on and what is held out. */
export const SPLITS = ['train', 'validation'] as const;

/** One of {@link SPLITS}. */
export type Split = (typeof SPLITS)[number];

const splitSchema = z.object({
  /** The files, in order, with the number of examples in each. */
  shards: z.array(z.object({ file: z.string(), examples: z.number().int().positive() })),
  examples: z.number(),
  /** Input tokens of all examples. */
  tokens: z.number(),
  /** Tokens to be predicted. */
  labels: z.number(),
});

const datasetSchema = z.object({
  format: z.literal('dialogpt-dataset-2'),
  corpus: z.string(),
  maxSequenceLength: z.number().int().positive(),
  reverse: z.boolean(),
  twoTurn: z.boolean(),
  maxTurns: z.array(z.number()).readonly().default([0]),
  long: z.enum(LONG_MODES),
  endOfText: z.number().int().positive(),
  counts: z.object({
    /** Conversations read. */
    conversations: z.number(),
    /** Conversations left out because they stood before (`--deduplicate`). */
    repeated: z.number(),
    /** Lines that could not be read and were left out. */
    brokenLines: z.number(),
    /** Conversations left out because fewer than two turns remained, or none to be learnt. */
    withoutResponse: z.number(),
    /** Examples left out because they were too long. */
    dropped: z.number(),
    /** Turns left out because they alone were too long. */
    longTurns: z.number(),
  }),
  splits: z.object({ train: splitSchema, validation: splitSchema }),
});

/** What `dataset.json` says. */
export type DatasetDescription = z.infer<typeof datasetSchema>;

/** What `dataset.json` says of one split. */
export type SplitDescription = z.infer<typeof splitSchema>;

/**
 * Reads the description of a dataset.
 *
 * @throws UserError if the folder holds none, or an unfinished one.
 */
export async function readDescription(folder: string): Promise<DatasetDescription> {
  const path = join(folder, DATASET_FILE);
  if (!(await exists(path))) {
    throw new UserError(
      `${folder}: there is no ${DATASET_FILE}, so this is not a dataset or its building was cut short; run \`dialogpt data build\`.`,
    );
  }
  const parsed = datasetSchema.safeParse(await readJson(path));
  if (!parsed.success) {
    throw new UserError(
      `${path}: this does not describe a dataset (${describeIssue(parsed.error)}); build it again.`,
    );
  }
  return parsed.data;
}

/** So many shards at most are held open; each takes 12 bytes a row. */
const MOST_OPEN_SHARDS = 256;

/**
 * The examples of one split of a dataset. They stay on the disk; in memory are the lengths of all
 * (4 bytes an example) and where the rows of the shards used last begin.
 */
export class Dataset {
  readonly description: DatasetDescription;
  /** The number of input tokens of each example. */
  readonly lengths: Uint32Array;
  /** The runs of examples that lie in one file each; reading within one is fastest. */
  readonly shards: readonly DatasetShard[];
  /** The shards used last, the latest at the end. */
  readonly #open = new Map<DatasetShard, Shard>();

  private constructor(
    description: DatasetDescription,
    shards: readonly DatasetShard[],
    lengths: Uint32Array,
  ) {
    this.description = description;
    this.shards = shards;
    this.lengths = lengths;
  }

  /**
   * Opens a split of the dataset in `folder`.
   *
   * @throws UserError if it is unfinished or damaged.
   */
  static async open(folder: string, split: Split = 'train'): Promise<Dataset> {
    const description = await readDescription(folder);
    let first = 0;
    const shards = description.splits[split].shards.map(({ file, examples }): DatasetShard => {
      first += examples;
      return { path: join(folder, file), first: first - examples, examples };
    });
    const lengths = new Uint32Array(first);
    const dataset = new Dataset(description, shards, lengths);
    for (const shard of shards) lengths.set(dataset.#shard(shard).lengths, shard.first);
    return dataset;
  }

  /** The number of examples. */
  get length(): number {
    return this.lengths.length;
  }

  /** The number of input tokens of an example. */
  inputLength(index: number): number {
    return at(this.lengths, index);
  }

  /** The line of the corpus that an example comes from. */
  conversation(index: number): number {
    return this.#row(index).conversation;
  }

  /** The turns of an example as token ids. */
  turns(index: number): readonly (readonly number[])[] {
    return this.#row(index).turns;
  }

  /** The weight of each turn of an example. */
  weights(index: number): readonly number[] {
    return this.#row(index).weights;
  }

  /** The turns' lengths and weights of each example in order, for statistics. */
  *shapes(): Generator<ExampleShape, void, undefined> {
    for (const shard of this.shards) yield* this.#shard(shard).shapes();
  }

  /** An example, ready to be put into a batch. */
  example(index: number): Example {
    const example = toExample(this.#row(index), this.description.endOfText);
    if (example === undefined) throw new Error(`Example ${index} of the dataset has no label.`);
    return example;
  }

  #row(index: number): ShardRow {
    const shard = shardOf(this.shards, index);
    return this.#shard(shard).row(index - shard.first);
  }

  /** @throws UserError if it holds another number of examples than it should. */
  #shard(shard: DatasetShard): Shard {
    const known = this.#open.get(shard);
    const opened = known ?? new Shard(shard.path);
    if (opened.rows !== shard.examples) {
      throw new UserError(
        `${shard.path}: it holds ${opened.rows} examples, but ${DATASET_FILE} says ${shard.examples}; build the dataset again.`,
      );
    }
    this.#open.delete(shard);
    this.#open.set(shard, opened);
    if (this.#open.size > MOST_OPEN_SHARDS) {
      for (const oldest of this.#open.keys()) {
        this.#open.delete(oldest);
        break;
      }
    }
    return opened;
  }
}

/** A file of a split: examples from `first` on. */
export interface DatasetShard {
  readonly path: string;
  readonly first: number;
  readonly examples: number;
}

/** The shard that an example lies in. */
function shardOf(shards: readonly DatasetShard[], index: number): DatasetShard {
  let [low, high] = [0, shards.length];
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    if (at(shards, middle).first <= index) low = middle;
    else high = middle;
  }
  const shard = shards[low];
  if (shard === undefined || index < 0 || index >= shard.first + shard.examples) {
    throw new RangeError(`There is no example ${index} in the dataset.`);
  }
  return shard;
}
