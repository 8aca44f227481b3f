import { randomBytes } from 'node:crypto';
import { createReadStream, rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, explainFileError, UserError, withFileErrors } from './errors.js';

/** The most bytes that one write call is given; the kernel refuses 2 GiB and more at once. */
const LARGEST_WRITE = 1 << 30;

/** Writes all of `bytes`, at the handle's position, in pieces the kernel accepts. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.byteLength;) {
    const length = Math.min(LARGEST_WRITE, bytes.byteLength - offset);
    const { bytesWritten } = await file.write(bytes, offset, length);
    offset += bytesWritten;
  }
}

/** A name beside `path` that no reader takes for the finished thing. */
function partialName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.partial`);
}

/** What is being written and not in its place yet. */
const partials = new Set<string>();

process.on('exit', () => {
  for (const partial of partials) {
    try {
      rmSync(partial, { recursive: true, force: true });
    } catch {
      // Its place cannot be reached, so nothing was written there.
    }
  }
});

/**
 * Calls `write` with a name beside `path` to write to and put in its place. What it leaves there is
 * removed, also when the program ends meanwhile.
 */
async function withPartial(path: string, write: (partial: string) => Promise<void>): Promise<void> {
  const partial = partialName(path);
  partials.add(partial);
  try {
    await withFileErrors(path, () => write(partial));
  } finally {
    // Where its place cannot be reached, nothing was written, and the reason is thrown already.
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    partials.delete(partial);
  }
}

/**
 * Writes a file whole or not at all: beside its place, flushed to the disk, then renamed. When
 * `fill` fails, the partial file is removed and what stood at `path` before is untouched.
 */
export async function writeFileWhole(
  path: string,
  fill: string | Uint8Array | ((file: FileHandle) => Promise<void>),
): Promise<void> {
  await withPartial(path, async (partial) => {
    await makeFolder(dirname(path));
    const file = await open(partial, 'wx');
    try {
      if (typeof fill === 'function') await fill(file);
      else await writeAll(file, typeof fill === 'string' ? Buffer.from(fill) : fill);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  });
}

/**
 * Fills a folder whole or not at all: `fill` writes into a folder beside `path`, which then takes
 * `path`'s place. A folder that stood there before is removed only once the new one is in place.
 */
export async function writeFolderWhole(
  path: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  await withPartial(path, async (partial) => {
    await makeFolder(partial);
    await fill(partial);
    await replaceFolder(partial, path);
  });
}

/**
 * Puts a folder that is whole in the place of `path`, on the same disk. What stood there before is
 * removed only once the new one is in place.
 */
export async function replaceFolder(folder: string, path: string): Promise<void> {
  if (!(await exists(path))) return rename(folder, path);
  const previous = partialName(path);
  await rename(path, previous);
  try {
    await rename(folder, path);
  } catch (error) {
    await rename(previous, path);
    throw error;
  }
  await rm(previous, { recursive: true });
}

/**
 * Makes a folder and those above it that are missing. Node.js reports a read-only file system as
 * one where the path is missing; here the error is what the system says of the first folder that
 * cannot be made.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    let missing = resolve(path);
    while (!(await exists(dirname(missing)))) missing = dirname(missing);
    await mkdir(missing);
    await mkdir(path, { recursive: true });
  }
}

/** Whether something stands at `path`. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Reads a text file as UTF-8. */
export async function readText(path: string): Promise<string> {
  return withFileErrors(path, () => readFile(path, 'utf8'));
}

/** Reads a JSON file; a syntax error becomes one sentence that names the file. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    throw new UserError(
      `${path}: this is not valid JSON (${error instanceof Error ? error.message : ''}); mend or replace the file.`,
      { cause: error },
    );
  }
}

/** One line of a text file, with its number counted from 1. */
export interface Line {
  readonly text: string;
  readonly number: number;
}

/**
 * The lines of a UTF-8 text file, one after the other, without their line ends (see
 * {@link linesOf}).
 */
export async function* readLines(path: string): AsyncGenerator<Line, void, undefined> {
  const stream = createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 18 });
  try {
    yield* linesOf(stream);
  } catch (error) {
    throw explainFileError(error, path);
  } finally {
    stream.destroy();
  }
}

/**
 * The lines of a UTF-8 text without their line ends (`\n`, `\r\n` or `\r`, as Python's universal
 * newlines; U+2028 and U+2029 are text, which Node's readline would split at). A byte order mark
 * at the start is not part of the first line.
 *
 * @param pieces of text, such as a stream with an encoding gives
 */
export async function* linesOf(
  pieces: AsyncIterable<unknown>,
): AsyncGenerator<Line, void, undefined> {
  let pending = '';
  let number = 0;
  const next = (text: string): Line => ({ text, number: ++number });
  for await (const piece of pieces) {
    pending += String(piece);
    if (number === 0 && pending.startsWith('\uFEFF')) pending = pending.slice(1);
    // A carriage return at the very end may be half of a line end: it waits for the next piece.
    const held = pending.endsWith('\r') ? '\r' : '';
    const lines = pending.slice(0, pending.length - held.length).split(/\r\n|\n|\r/);
    pending = (lines.pop() ?? '') + held;
    for (const line of lines) yield next(line);
  }
  if (pending !== '') yield next(pending.replace(/\r$/, ''));
}
