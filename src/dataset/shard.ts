import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { parquetMetadata, type SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { at } from '../base/arrays.js';
import { explainFileError, messageOf, UserError } from '../base/errors.js';
import { writeFileWhole } from '../base/files.js';
import { inputLength } from './split.js';

/** One row of a shard: a dialogue's turns as token ids. */
export interface ShardRow {
  /** The line of the corpus that the dialogue stands on, counted from 1. */
  readonly conversation: number;
  readonly turns: readonly (readonly number[])[];
  /** The weight of each turn; 0 is context only. */
  readonly weights: readonly number[];
}

/** What is known of an example without its tokens. */
export interface ExampleShape {
  /** The number of tokens of each turn. */
  readonly turnLengths: Int32Array;
  /** The weight of each turn. */
  readonly weights: Float32Array;
}

const FLAT_COLUMNS = ['conversation', 'input_length', 'turn_count'] as const;
const COLUMNS = [...FLAT_COLUMNS, 'token_ids', 'turn_lengths', 'turn_weights'] as const;
type Column = (typeof COLUMNS)[number];

function listColumn(name: Column, type: 'INT32' | 'FLOAT'): SchemaElement[] {
  return [
    { name, repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST' },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', type, repetition_type: 'REQUIRED' },
  ];
}

const schema: SchemaElement[] = [
  { name: 'root', num_children: COLUMNS.length },
  ...FLAT_COLUMNS.map((name): SchemaElement => ({
    name,
    type: 'INT32',
    repetition_type: 'REQUIRED',
  })),
  ...listColumn('token_ids', 'INT32'),
  ...listColumn('turn_lengths', 'INT32'),
  ...listColumn('turn_weights', 'FLOAT'),
];

/**
 * Writes rows as a Parquet file, whole or not at all. Each column is one page of plain values,
 * uncompressed, so that {@link Shard} can read one row without the others.
 */
export async function writeShard(path: string, rows: readonly ShardRow[]): Promise<void> {
  const data: Readonly<Record<Column, number[] | number[][]>> = {
    conversation: rows.map(({ conversation }) => conversation),
    input_length: rows.map(({ turns }) => inputLength(turns)),
    turn_count: rows.map(({ turns }) => turns.length),
    token_ids: rows.map(({ turns }) => joinTurns(turns)),
    turn_lengths: rows.map(({ turns }) => turns.map((turn) => turn.length)),
    turn_weights: rows.map(({ weights }) => [...weights]),
  };
  const buffer = parquetWriteBuffer({
    schema,
    columnData: COLUMNS.map((name) => ({
      name,
      data: data[name],
      encoding: 'PLAIN',
      codec: 'UNCOMPRESSED',
      statistics: name !== 'token_ids' && name !== 'turn_weights',
    })),
    rowGroupSize: rows.length,
    pageSize: 0,
  });
  await writeFileWhole(path, new Uint8Array(buffer));
}

/** The tokens of all turns; many times faster than `flat`. */
function joinTurns(turns: readonly (readonly number[])[]): number[] {
  const ids: number[] = [];
  for (const turn of turns) for (const id of turn) ids.push(id);
  return ids;
}

/** The bytes of a value of any column. */
const VALUE = 4;
/** The footer of a shard fits into so many bytes. */
const FOOTER = 1 << 16;

/** A shard on the disk, of which only the rows that are asked for are read. */
export class Shard {
  readonly #path: string;
  /** Where each column's last value ends, in bytes. */
  readonly #ends: Readonly<Record<Column, number>>;
  /** Where each row's turns begin among all turns, and its tokens among all tokens. */
  readonly #firstTurns: Uint32Array;
  readonly #firstTokens: Uint32Array;
  /** The number of input tokens of each row. */
  readonly lengths: Uint32Array;

  /**
   * Opens a shard.
   *
   * @throws UserError naming the file if it is not one that {@link writeShard} wrote.
   */
  constructor(path: string) {
    this.#path = path;
    try {
      const opened = withFile(path, (file) => {
        const { rows, ends, sizes } = readFooter(file);
        const read = (column: Column) => readValues(file, ends[column] - rows * VALUE, rows);
        const [lengths, counts] = [read('input_length'), read('turn_count')];
        const firstTurns = new Uint32Array(rows + 1);
        const firstTokens = new Uint32Array(rows + 1);
        for (let row = 0; row < rows; row++) {
          const turns = at(counts, row);
          firstTurns[row + 1] = at(firstTurns, row) + turns;
          firstTokens[row + 1] = at(firstTokens, row) + at(lengths, row) + 1 - turns;
        }
        const fits =
          at(firstTurns, rows) * VALUE <= Math.min(sizes.turn_lengths, sizes.turn_weights) &&
          at(firstTokens, rows) * VALUE <= sizes.token_ids;
        if (!fits) throw new Error('its columns do not belong together');
        return { ends, firstTurns, firstTokens, lengths: new Uint32Array(lengths.buffer) };
      });
      this.#ends = opened.ends;
      this.#firstTurns = opened.firstTurns;
      this.#firstTokens = opened.firstTokens;
      this.lengths = opened.lengths;
    } catch (error) {
      const explained = explainFileError(error, path);
      if (explained !== error) throw explained;
      throw new UserError(
        `${path}: this is not a shard of a dataset (${messageOf(error).replaceAll('\n', ' ')}); build the dataset again.`,
        { cause: error },
      );
    }
  }

  /** The number of rows. */
  get rows(): number {
    return this.lengths.length;
  }

  /** The lengths and weights of each row's turns, without its tokens. */
  *shapes(): Generator<ExampleShape, void, undefined> {
    const count = at(this.#firstTurns, this.rows);
    const [lengths, weights] = withFile(this.#path, (file) => {
      const read = (column: Column) => readValues(file, this.#ends[column] - count * VALUE, count);
      return [read('turn_lengths'), new Float32Array(read('turn_weights').buffer)] as const;
    });
    for (let row = 0; row < this.rows; row++) {
      const [first, last] = [at(this.#firstTurns, row), at(this.#firstTurns, row + 1)];
      yield { turnLengths: lengths.subarray(first, last), weights: weights.subarray(first, last) };
    }
  }

  /** Reads one row. */
  row(index: number): ShardRow {
    const rows = [index, index + 1, this.rows] as const;
    const turns = rows.map((row) => at(this.#firstTurns, row));
    const tokens = rows.map((row) => at(this.#firstTokens, row));
    return withFile(this.#path, (file) => {
      const read = (column: Column, [start = 0, end = 0, count = 0]: readonly number[]) =>
        readValues(file, this.#ends[column] - (count - start) * VALUE, end - start);
      const ids = read('token_ids', tokens);
      let start = 0;
      return {
        conversation: at(read('conversation', rows), 0),
        turns: Array.from(read('turn_lengths', turns), (length) => [
          ...ids.subarray(start, (start += length)),
        ]),
        weights: [...new Float32Array(read('turn_weights', turns).buffer)],
      };
    });
  }
}

function withFile<T>(path: string, read: (file: number) => T): T {
  const file = openSync(path, 'r');
  try {
    return read(file);
  } finally {
    closeSync(file);
  }
}

/** `count` values of 32 bits that begin at `position`. */
function readValues(file: number, position: number, count: number): Int32Array<ArrayBuffer> {
  const values = new Int32Array(count);
  readFully(file, new Uint8Array(values.buffer), position);
  return values;
}

function readFully(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    const read = readSync(file, bytes, done, bytes.length - done, position + done);
    if (read === 0) throw new Error('it is cut short');
    done += read;
  }
}

interface Footer {
  readonly rows: number;
  readonly ends: Record<Column, number>;
  /** The bytes of each column. */
  readonly sizes: Record<Column, number>;
}

/** Where the columns lie, from what Parquet's footer says. */
function readFooter(file: number): Footer {
  const { size } = fstatSync(file);
  const tail = new Uint8Array(Math.min(size, FOOTER));
  readFully(file, tail, size - tail.length);
  const { row_groups: groups } = parquetMetadata(tail.buffer);
  const [group] = groups;
  if (group === undefined || groups.length > 1) throw new Error('it has not one group of rows');
  const ends = emptyColumns();
  const sizes = emptyColumns();
  for (const column of COLUMNS) {
    const found = group.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === column);
    const chunk = found?.meta_data;
    if (chunk === undefined) throw new Error(`it has no column ${column}`);
    const { codec, encodings, data_page_offset: start, total_compressed_size: length } = chunk;
    if (codec !== 'UNCOMPRESSED' || encodings.some((encoding) => encoding !== 'PLAIN')) {
      throw new Error(`another program has packed its column ${column}`);
    }
    sizes[column] = Number(length);
    ends[column] = Number(start) + Number(length);
  }
  return { rows: Number(group.num_rows), ends, sizes };
}

function emptyColumns(): Record<Column, number> {
  return {
    conversation: 0,
    input_length: 0,
    turn_count: 0,
    token_ids: 0,
    turn_lengths: 0,
    turn_weights: 0,
  };
}
