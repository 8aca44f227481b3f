import { join } from 'node:path';
import { z } from 'zod';
import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { exists, readJson } from '../base/files.js';
import { type Example, toExample } from './example.js';
import { LONG_MODES } from './split.js';
import { readShard, type ShardRow } from './shard.js';

/** The file that describes a dataset; written last, so a folder without it is not one. */
export const DATASET_FILE = 'dataset.json';

/** The parts of a dataset: what is trained on and what is held out. */
export const SPLITS = ['train', 'validation'] as const;

/** One of {@link SPLITS}. */
export type Split = (typeof SPLITS)[number];

const splitSchema = z.object({
  shards: z.array(z.string()),
  examples: z.number(),
  /** Input tokens of all examples. */
  tokens: z.number(),
  /** Tokens to be predicted. */
  labels: z.number(),
});

const datasetSchema = z.object({
  format: z.literal('dialogpt-dataset-1'),
  corpus: z.string(),
  maxSequenceLength: z.number().int().positive(),
  reverse: z.boolean(),
  twoTurn: z.boolean(),
  long: z.enum(LONG_MODES),
  endOfText: z.number().int().positive(),
  counts: z.object({
    /** Conversations read. */
    conversations: z.number(),
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

/** The first thing that is wrong, and where. */
function describeIssue({ issues: [issue] }: z.ZodError): string {
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
}

/** The examples of one split of a dataset, in memory. */
export class Dataset {
  readonly description: DatasetDescription;
  readonly #rows: readonly ShardRow[];

  constructor(description: DatasetDescription, rows: readonly ShardRow[]) {
    this.description = description;
    this.#rows = rows;
  }

  /**
   * Opens a split of the dataset in `folder`.
   *
   * @throws UserError if it is unfinished or damaged.
   */
  static async open(folder: string, split: Split = 'train'): Promise<Dataset> {
    const description = await readDescription(folder);
    const rows: ShardRow[] = [];
    for (const shard of description.splits[split].shards) {
      for (const row of await readShard(join(folder, shard))) rows.push(row);
    }
    const { examples } = description.splits[split];
    if (rows.length !== examples) {
      throw new UserError(
        `${folder}: the ${split} split holds ${rows.length} examples, but ${DATASET_FILE} says ${examples}; build the dataset again.`,
      );
    }
    return new Dataset(description, rows);
  }

  /** The number of examples. */
  get length(): number {
    return this.#rows.length;
  }

  /** The number of input tokens of an example. */
  inputLength(index: number): number {
    const { tokenIds, turnLengths } = at(this.#rows, index);
    return tokenIds.length + turnLengths.length - 1;
  }

  /** The line of the corpus that an example comes from. */
  conversation(index: number): number {
    return at(this.#rows, index).conversation;
  }

  /** The turns of an example as token ids. */
  turns(index: number): readonly (readonly number[])[] {
    const { tokenIds, turnLengths } = at(this.#rows, index);
    let start = 0;
    return turnLengths.map((length) => tokenIds.slice(start, (start += length)));
  }

  /** The weight of each turn of an example. */
  weights(index: number): readonly number[] {
    return at(this.#rows, index).turnWeights;
  }

  /** An example, ready to be put into a batch. */
  example(index: number): Example {
    const dialogue = { turns: this.turns(index), weights: this.weights(index) };
    const example = toExample(dialogue, this.description.endOfText);
    if (example === undefined) throw new Error(`Example ${index} of the dataset has no label.`);
    return example;
  }
}
