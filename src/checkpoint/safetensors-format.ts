import { z } from 'zod';
import { at } from '../base/arrays.js';
import { messageOf, UserError } from '../base/errors.js';
import { type ByteReader, type ByteSource } from './byte-source.js';
import { repeatedKey } from './repeated-key.js';
import { elementCount, storedTensor, type TensorSource } from './tensor-source.js';

/** The largest header that the reference implementation accepts, in bytes. */
const LARGEST_HEADER = 100_000_000;
/** The bytes before the header: its length as a little-endian 64-bit number. */
const LENGTH_BYTES = 8;

/** Bits per element of every type that the reference implementation (safetensors 0.8) knows. */
const elementBits: Readonly<Record<string, number>> = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};

/** What a header says of one tensor. */
export interface SafetensorsEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The first byte of the data, counted from the start of the file. */
  readonly begin: number;
  /** The byte after the last one of the data, counted from the start of the file. */
  readonly end: number;
}

/** The header of a safetensors file. */
export interface SafetensorsHeader {
  /** The tensors under their names, in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** The free text under `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** The size of the file, in bytes. */
  readonly fileSize: number;
}

const wholeNumber = z.number().int().nonnegative();
const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(wholeNumber),
  data_offsets: z.tuple([wholeNumber, wholeNumber]),
});

/**
 * Reads and checks the header of a safetensors file, with the rules of the reference
 * implementation (`safetensors` crate, `tensor.rs`, `Metadata::validate`): a header of at most
 * 100 MB, data without overlaps or holes from the header's end to the file's end, and sizes that
 * agree with element type and shape. A name given twice is refused too, as the format demands.
 *
 * @throws UserError naming the file and the tensor or byte that is wrong.
 */
export async function readHeader(reader: ByteReader): Promise<SafetensorsHeader> {
  return checkHeader(reader.path, reader.size, await readHeaderText(reader));
}

interface HeaderText {
  readonly text: string;
  /** Where the data starts, in bytes from the start of the file. */
  readonly dataStart: number;
}

async function readHeaderText({ path, size, read }: ByteReader): Promise<HeaderText> {
  if (size < LENGTH_BYTES) {
    throw new UserError(
      `${path}: ${size} bytes are too few for a safetensors file; it is cut short, so get it again.`,
    );
  }
  const start = new Uint8Array(LENGTH_BYTES);
  await read(0, start);
  const length = Number(new DataView(start.buffer).getBigUint64(0, true));
  if (length > LARGEST_HEADER) {
    throw new UserError(
      `${path}: bytes 0-7 announce a header of ${length} bytes, over the limit of ${LARGEST_HEADER}; this is not a safetensors file.`,
    );
  }
  if (LENGTH_BYTES + length > size) {
    throw new UserError(
      `${path}: the header should end at byte ${LENGTH_BYTES + length}, but the file has only ${size} bytes; it is cut short, so get it again.`,
    );
  }
  const bytes = new Uint8Array(length);
  await read(LENGTH_BYTES, bytes);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return { text, dataStart: LENGTH_BYTES + length };
  } catch (error) {
    throw new UserError(
      `${path}: the header (from byte ${LENGTH_BYTES}) is not UTF-8 text; this is not a safetensors file, or it is damaged.`,
      { cause: error },
    );
  }
}

function checkHeader(path: string, fileSize: number, header: HeaderText): SafetensorsHeader {
  const fields = parseHeader(path, header.text);
  const metadata = new Map<string, string>();
  const tensors: [string, SafetensorsEntry][] = [];
  for (const [name, value] of fields) {
    if (name === '__metadata__') {
      if (value === null) continue;
      const texts = z.record(z.string(), z.string()).safeParse(value);
      if (!texts.success) {
        throw new UserError(`${path}: "__metadata__" in the header must map names to texts.`);
      }
      for (const [key, text] of Object.entries(texts.data)) metadata.set(key, text);
    } else {
      tensors.push([name, checkEntry(path, name, value, header.dataStart)]);
    }
  }
  tensors.sort(([, one], [, other]) => one.begin - other.begin || one.end - other.end);
  checkCoverage(path, tensors, header.dataStart, fileSize);
  return { tensors: new Map(tensors), metadata, fileSize };
}

function parseHeader(path: string, text: string): [string, unknown][] {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (error) {
    throw new UserError(
      `${path}: the header (from byte ${LENGTH_BYTES}) is not valid JSON (${messageOf(error)}); this is not a safetensors file, or it is damaged.`,
      { cause: error },
    );
  }
  if (typeof fields !== 'object' || fields === null || !text.startsWith('{')) {
    throw new UserError(
      `${path}: the header (from byte ${LENGTH_BYTES}) must be a JSON object; this is not a safetensors file.`,
    );
  }
  const repeated = repeatedKey(text);
  if (repeated !== undefined) {
    throw new UserError(
      `${path}: the header gives the name "${repeated}" twice; write the file again with unique names.`,
    );
  }
  return Object.entries(fields);
}

function checkEntry(
  path: string,
  name: string,
  value: unknown,
  dataStart: number,
): SafetensorsEntry {
  const wrong = (what: string): UserError =>
    new UserError(`${path}: tensor "${name}" ${what}; the file is damaged or not safetensors.`);
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) {
    const issue = at(parsed.error.issues, 0);
    throw wrong(`is described wrongly in the header (${issue.path.join('.')}: ${issue.message})`);
  }
  const { dtype, shape, data_offsets: offsets } = parsed.data;
  const bits = Object.hasOwn(elementBits, dtype) ? elementBits[dtype] : undefined;
  if (bits === undefined) throw wrong(`has the unknown element type "${dtype}"`);
  const [begin, end] = offsets;
  const size = (elementCount(shape) * bits) / 8;
  if (end < begin || end - begin !== size) {
    throw wrong(
      `has data from byte ${begin} to ${end}, but ${dtype} of shape [${shape.join(', ')}] takes ${size} bytes`,
    );
  }
  return { dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/** The data must fill the file from the header's end to the file's end, without gap or overlap. */
function checkCoverage(
  path: string,
  tensors: readonly (readonly [string, SafetensorsEntry])[],
  dataStart: number,
  fileSize: number,
): void {
  let covered = dataStart;
  for (const [name, { begin, end }] of tensors) {
    if (begin !== covered) {
      const what = begin < covered ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw new UserError(
        `${path}: tensor "${name}" starts at byte ${begin} instead of ${covered} and ${what}; the file is damaged.`,
      );
    }
    covered = end;
  }
  if (covered !== fileSize) {
    throw new UserError(
      covered > fileSize
        ? `${path}: the data should end at byte ${covered}, but the file has only ${fileSize} bytes; it is cut short, so get it again.`
        : `${path}: the data ends at byte ${covered}, but the file has ${fileSize} bytes; nothing describes the rest, so the file is damaged.`,
    );
  }
}

/**
 * The tensors of a safetensors file under their names; nothing but the header is read until
 * {@link TensorSource.readInto} is called.
 *
 * @throws UserError as {@link readHeader}.
 */
export async function safetensorsFrom(source: ByteSource): Promise<Map<string, TensorSource>> {
  return source(async (reader) => {
    const sources = new Map<string, TensorSource>();
    const { path } = reader;
    for (const [name, { dtype, shape, begin, end }] of (await readHeader(reader)).tensors) {
      const origin = `${path}: tensor "${name}"`;
      const tensor = storedTensor({ source, origin, dtype, shape, position: begin });
      const place = { source, path, offset: begin, length: end - begin };
      sources.set(name, { ...tensor, place });
    }
    return sources;
  });
}

/** A tensor as a header tells of it. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/**
 * The start of a file whose data are these tensors, one after the other. The header is padded with
 * spaces to a multiple of eight bytes, as the reference implementation does.
 *
 * @param path what the file is called, for messages
 * @throws UserError where two tensors have one name.
 */
export function encodeHeader(
  path: string,
  tensors: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const fields: [string, unknown][] = [['__metadata__', { format: 'pt', ...metadata }]];
  const names = new Set<string>();
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name)) throw new UserError(`${path}: two tensors are named "${name}".`);
    names.add(name);
    const end = offset + storedBytes({ dtype, shape });
    fields.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Written by hand, since an object would move names that are whole numbers to the front.
  const entries = fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const length = Math.ceil(json.byteLength / LENGTH_BYTES) * LENGTH_BYTES;
  const header = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, LENGTH_BYTES);
  return header;
}

/** The bytes that a tensor's data take. */
export function storedBytes({ dtype, shape }: Omit<TensorEntry, 'name'>): number {
  return (elementCount(shape) * (elementBits[dtype] ?? 0)) / 8;
}
