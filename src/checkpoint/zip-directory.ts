import { UserError } from '../base/errors.js';
import { type ByteReader } from './byte-source.js';

/** A file within a zip archive. */
export interface ZipEntry {
  readonly name: string;
  /** Its size in bytes; it is stored as it is, without compression. */
  readonly size: number;
  /** Where its local header starts, in bytes from the start of the archive. */
  readonly headerPosition: number;
}

const END_SIGNATURE = 0x06054b50;
const END_SIZE = 22;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
const ZIP64_LOCATOR_SIZE = 20;
const ZIP64_END_SIGNATURE = 0x06064b50;
const ZIP64_END_SIZE = 56;
const CENTRAL_SIGNATURE = 0x02014b50;
const CENTRAL_SIZE = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_SIZE = 30;
const ZIP64_EXTRA = 1;
const LARGEST_COMMENT = 0xffff;
const IN_ZIP64 = 0xffffffff;
/** More than any list of tensors takes; a larger one is not read into memory. */
const LARGEST_DIRECTORY = 100_000_000;

/**
 * The entries of a zip archive (PKWARE's APPNOTE.TXT, with zip64) whose files are stored without
 * compression, as `torch.save` writes them.
 *
 * @throws UserError where the archive is damaged, cut short or compressed.
 */
export async function readZipDirectory(reader: ByteReader): Promise<Map<string, ZipEntry>> {
  const { path } = reader;
  const { position, size, count } = await findDirectory(reader);
  if (size > LARGEST_DIRECTORY || position + size > reader.size) {
    throw broken(path, 'its list of entries does not lie inside the file');
  }
  const directory = await readView(reader, position, size);
  const entries = new Map<string, ZipEntry>();
  let offset = 0;
  for (let index = 0; index < count; index++) {
    const { entry, length } = readEntry(path, directory, offset);
    if (entry.headerPosition + LOCAL_SIZE + entry.size > reader.size) {
      throw broken(path, `entry "${entry.name}" does not lie inside the file`);
    }
    if (entries.has(entry.name)) throw broken(path, `entry "${entry.name}" is there twice`);
    entries.set(entry.name, entry);
    offset += length;
  }
  return entries;
}

/**
 * Where the content of an entry starts, in bytes from the start of the archive.
 *
 * @throws UserError where the archive is damaged.
 */
export async function zipContentPosition(reader: ByteReader, entry: ZipEntry): Promise<number> {
  const header = await readView(reader, entry.headerPosition, LOCAL_SIZE);
  const position =
    entry.headerPosition + LOCAL_SIZE + header.getUint16(26, true) + header.getUint16(28, true);
  if (header.getUint32(0, true) !== LOCAL_SIGNATURE || position + entry.size > reader.size) {
    throw broken(reader.path, `entry "${entry.name}" is not where the list of entries says`);
  }
  return position;
}

function broken(path: string, what: string): UserError {
  return new UserError(`${path}: ${what}; this zip archive is damaged, so get it again.`);
}

async function readView(reader: ByteReader, position: number, size: number): Promise<DataView> {
  const bytes = new Uint8Array(size);
  await reader.read(position, bytes);
  return new DataView(bytes.buffer);
}

interface DirectoryPlace {
  readonly position: number;
  readonly size: number;
  readonly count: number;
}

/** Finds the end record, which a comment of unknown length may follow. */
async function findDirectory(reader: ByteReader): Promise<DirectoryPlace> {
  const { path, size: fileSize } = reader;
  const tailSize = Math.min(fileSize, END_SIZE + LARGEST_COMMENT);
  const tailStart = fileSize - tailSize;
  const tail = await readView(reader, tailStart, tailSize);
  for (let offset = tailSize - END_SIZE; offset >= 0; offset--) {
    if (tail.getUint32(offset, true) !== END_SIGNATURE) continue;
    const place = {
      count: tail.getUint16(offset + 10, true),
      size: tail.getUint32(offset + 12, true),
      position: tail.getUint32(offset + 16, true),
    };
    const locator = tailStart + offset - ZIP64_LOCATOR_SIZE;
    return (await findZip64Directory(reader, locator)) ?? place;
  }
  throw new UserError(
    `${path}: the zip archive has no end record; the file is cut short, so get it again.`,
  );
}

async function findZip64Directory(
  reader: ByteReader,
  locatorPosition: number,
): Promise<DirectoryPlace | undefined> {
  if (locatorPosition < 0) return undefined;
  const locator = await readView(reader, locatorPosition, ZIP64_LOCATOR_SIZE);
  if (locator.getUint32(0, true) !== ZIP64_LOCATOR_SIGNATURE) return undefined;
  const position = Number(locator.getBigUint64(8, true));
  if (position > locatorPosition - ZIP64_END_SIZE) {
    throw broken(reader.path, 'its zip64 end record is not where it should be');
  }
  const end = await readView(reader, position, ZIP64_END_SIZE);
  if (end.getUint32(0, true) !== ZIP64_END_SIGNATURE) {
    throw broken(reader.path, 'its zip64 end record is not where it should be');
  }
  return {
    count: Number(end.getBigUint64(32, true)),
    size: Number(end.getBigUint64(40, true)),
    position: Number(end.getBigUint64(48, true)),
  };
}

function readEntry(
  path: string,
  directory: DataView,
  offset: number,
): { readonly entry: ZipEntry; readonly length: number } {
  const left = directory.byteLength - offset;
  if (left < CENTRAL_SIZE || directory.getUint32(offset, true) !== CENTRAL_SIGNATURE) {
    throw broken(path, 'its list of entries is cut short');
  }
  const nameLength = directory.getUint16(offset + 28, true);
  const extraLength = directory.getUint16(offset + 30, true);
  const length = CENTRAL_SIZE + nameLength + extraLength + directory.getUint16(offset + 32, true);
  if (left < length) throw broken(path, 'its list of entries is cut short');
  const name = Buffer.from(
    directory.buffer,
    directory.byteOffset + offset + CENTRAL_SIZE,
    nameLength,
  ).toString('utf8');
  const compressed = directory.getUint32(offset + 20, true);
  const uncompressed = directory.getUint32(offset + 24, true);
  if (directory.getUint16(offset + 10, true) !== 0 || compressed !== uncompressed) {
    throw new UserError(
      `${path}: entry "${name}" is compressed, which torch.save never does; unpack the archive and save the model again.`,
    );
  }
  const extra = new DataView(
    directory.buffer,
    directory.byteOffset + offset + CENTRAL_SIZE + nameLength,
    extraLength,
  );
  const large = zip64Numbers(extra);
  // The 64-bit numbers stand in for those of the 32-bit ones that are full, in this order.
  const number = (value: number): number => {
    if (value !== IN_ZIP64) return value;
    const replacement = large.shift();
    if (replacement === undefined) throw broken(path, `entry "${name}" lacks its zip64 sizes`);
    return replacement;
  };
  const size = number(uncompressed);
  number(compressed);
  const headerPosition = number(directory.getUint32(offset + 42, true));
  return { entry: { name, size, headerPosition }, length };
}

/** The 64-bit numbers of an entry's zip64 field. */
function zip64Numbers(extra: DataView): number[] {
  for (let offset = 0; offset + 4 <= extra.byteLength;) {
    const start = offset + 4;
    const end = start + extra.getUint16(offset + 2, true);
    if (extra.getUint16(offset, true) === ZIP64_EXTRA && end <= extra.byteLength) {
      const numbers: number[] = [];
      for (let at = start; at + 8 <= end; at += 8) {
        numbers.push(Number(extra.getBigUint64(at, true)));
      }
      return numbers;
    }
    offset = end;
  }
  return [];
}
