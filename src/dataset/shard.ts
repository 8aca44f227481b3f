import { readFile } from 'node:fs/promises';
import { parquetReadObjects, type SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { z } from 'zod';
import { messageOf, UserError, withFileErrors } from '../base/errors.js';
import { writeFileWhole } from '../base/files.js';

/** One row of a shard: a dialogue's turns as token ids, laid end to end. */
export interface ShardRow {
  /** The line of the corpus that the dialogue stands on, counted from 1. */
  readonly conversation: number;
  readonly tokenIds: readonly number[];
  /** The number of tokens of each turn. */
  readonly turnLengths: readonly number[];
  /** The weight of each turn; 0 is context only. */
  readonly turnWeights: readonly number[];
}

function listColumn(name: string, type: 'INT32' | 'FLOAT'): SchemaElement[] {
  return [
    { name, repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST' },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', type, repetition_type: 'REQUIRED' },
  ];
}

const schema: SchemaElement[] = [
  { name: 'root', num_children: 4 },
  { name: 'conversation', type: 'INT32', repetition_type: 'REQUIRED' },
  ...listColumn('token_ids', 'INT32'),
  ...listColumn('turn_lengths', 'INT32'),
  ...listColumn('turn_weights', 'FLOAT'),
];

/** Writes rows as a Parquet file, whole or not at all. */
export async function writeShard(path: string, rows: readonly ShardRow[]): Promise<void> {
  const buffer = parquetWriteBuffer({
    schema,
    columnData: [
      { name: 'conversation', data: rows.map((row) => row.conversation) },
      { name: 'token_ids', data: rows.map((row) => row.tokenIds) },
      { name: 'turn_lengths', data: rows.map((row) => row.turnLengths) },
      { name: 'turn_weights', data: rows.map((row) => row.turnWeights) },
    ],
  });
  await writeFileWhole(path, new Uint8Array(buffer));
}

const rowSchema = z.object({
  conversation: z.number().int(),
  token_ids: z.array(z.number().int().nonnegative()),
  turn_lengths: z.array(z.number().int().nonnegative()),
  // The original takes nan and inf for weights too.
  turn_weights: z.array(z.custom<number>((weight) => typeof weight === 'number')),
});

/**
 * Reads the rows of a shard.
 *
 * @throws UserError naming the file if it is not one of ours.
 */
export async function readShard(path: string): Promise<ShardRow[]> {
  const bytes = await withFileErrors(path, () => readFile(path));
  const file = new Uint8Array(bytes).buffer;
  try {
    const objects = await parquetReadObjects({ file });
    return objects.map((object) => {
      const row = rowSchema.parse(object);
      return {
        conversation: row.conversation,
        tokenIds: row.token_ids,
        turnLengths: row.turn_lengths,
        turnWeights: row.turn_weights,
      };
    });
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new UserError(
      `${path}: this is not a shard of a dataset (${reason.replaceAll('\n', ' ')}); build the dataset again.`,
      { cause: error },
    );
  }
}
