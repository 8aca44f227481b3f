import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { range } from '../base/arrays.js';
import { codeOf, UserError, withFileErrors } from '../base/errors.js';
import { exists, readJson, writeAll, writeFileWhole } from '../base/files.js';
import type { Rank } from '../base/rank.js';

/** What makes the lines of a {@link ResponseFile} what they are, by name. */
export type ResponseSettings = Readonly<Record<string, string>>;

/** How a {@link ResponseFile} is opened. */
export interface ResponseFileOptions {
  /** Work begun with other settings is not continued. */
  readonly settings: ResponseSettings;
  /** Start anew, whatever is there. */
  readonly overwrite?: boolean;
  /** Which of several processes this is; each writes a part, and the last one joins them. */
  readonly rank?: Rank;
}

/**
 * A file that is written line by line over a long time and survives being killed: whole lines are
 * appended to `PATH.partial` and flushed to the disk, and the file gets its name when it is whole.
 * `PATH.partial.json` says what settings it was begun with.
 *
 * Of several processes, each writes `PATH.RANK-of-SIZE`; the one that ends last joins the parts.
 */
export class ResponseFile {
  readonly path: string;
  readonly #part: string;
  readonly #rank: Rank;
  readonly #settings: ResponseSettings;
  #file: FileHandle | undefined;
  #lines: number;

  private constructor(
    path: string,
    part: string,
    rank: Rank,
    settings: ResponseSettings,
    file: FileHandle | undefined,
    lines: number,
  ) {
    this.path = path;
    this.#part = part;
    this.#rank = rank;
    this.#settings = settings;
    this.#file = file;
    this.#lines = lines;
  }

  /**
   * Opens a file to be written, or goes on where an earlier process ended.
   *
   * @throws UserError if it is there already, or was begun with other settings.
   */
  static async open(path: string, options: ResponseFileOptions): Promise<ResponseFile> {
    const { settings, overwrite = false, rank = { rank: 0, size: 1 } } = options;
    const part = partOf(path, rank.rank, rank.size);
    if (overwrite) {
      if (rank.rank === 0) await rm(path, { force: true });
      for (const name of new Set([part, partialOf(part)])) {
        if (name !== path) await rm(name, { force: true });
      }
      await rm(settingsOf(part), { force: true });
    } else if (await exists(path)) {
      // Processes do not start at the same moment: others may have joined the parts meanwhile.
      const { mtimeMs } = await stat(path);
      if (rank.size > 1 && mtimeMs > performance.timeOrigin) {
        return new ResponseFile(path, part, rank, settings, undefined, await wholeLines(path));
      }
      throw new UserError(`${path}: it exists already; choose another name or give --overwrite.`);
    }
    await withFileErrors(path, () => mkdir(dirname(path), { recursive: true }));
    if (await exists(settingsOf(part))) {
      await checkSettings(part, settings);
    } else {
      // Lines without settings come from another program.
      if (await exists(partialOf(part))) {
        throw new UserError(
          `${partialOf(part)}: nothing says what it was begun with; remove it or give --overwrite.`,
        );
      }
      await writeFileWhole(settingsOf(part), `${JSON.stringify(settings, null, 2)}\n`);
    }
    if (rank.size > 1 && (await exists(part))) {
      return new ResponseFile(path, part, rank, settings, undefined, await wholeLines(part));
    }
    return withFileErrors(partialOf(part), async () => {
      const file = await open(partialOf(part), 'a+');
      const lines = await cutToWholeLines(file);
      return new ResponseFile(path, part, rank, settings, file, lines);
    });
  }

  /** The number of lines that are there. */
  get lines(): number {
    return this.#lines;
  }

  /** Writes a line, which must not contain line ends, through to the disk. */
  async append(line: string): Promise<void> {
    const file = this.#file;
    if (file === undefined) throw new Error(`${this.path} is whole already.`);
    await withFileErrors(partialOf(this.#part), async () => {
      await writeAll(file, Buffer.from(`${line}\n`));
      await file.datasync();
    });
    this.#lines += 1;
  }

  /**
   * Gives the file its name, or this process's part; the last part to be done joins them all.
   *
   * @returns whether the whole file is in its place now
   */
  async finish(): Promise<boolean> {
    const { size } = this.#rank;
    if (this.#file !== undefined) {
      await this[Symbol.asyncDispose]();
      await rename(partialOf(this.#part), this.#part);
    }
    if (size === 1) {
      await rm(settingsOf(this.#part), { force: true });
      return true;
    }
    const parts = range(0, size).map((other) => partOf(this.path, other, size));
    for (const part of parts) if (!(await exists(part))) return exists(this.path);
    return this.#join(parts);
  }

  /** Joins the parts. Two ranks that end at once both do it, with the same result. */
  async #join(parts: readonly string[]): Promise<boolean> {
    try {
      for (const part of parts) await checkSettings(part, this.#settings);
      await writeFileWhole(this.path, async (file) => {
        for (const part of parts) {
          for await (const piece of createReadStream(part)) {
            if (piece instanceof Uint8Array) await writeAll(file, piece);
          }
        }
      });
    } catch (error) {
      // The other one has joined and removed them.
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      if (codeOf(cause) === 'ENOENT' && (await exists(this.path))) return true;
      throw error;
    }
    for (const part of parts) {
      await rm(part, { force: true });
      await rm(settingsOf(part), { force: true });
    }
    return true;
  }

  /** Closes the file; what was written stays to be continued. */
  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

function partOf(path: string, rank: number, size: number): string {
  return size === 1 ? path : join(dirname(path), `${basename(path)}.${rank + 1}-of-${size}`);
}

function partialOf(part: string): string {
  return `${part}.partial`;
}

function settingsOf(part: string): string {
  return `${part}.partial.json`;
}

async function checkSettings(part: string, settings: ResponseSettings): Promise<void> {
  const path = settingsOf(part);
  const earlier = z.record(z.string(), z.string()).safeParse(await readJson(path));
  const before: ResponseSettings = earlier.success ? earlier.data : {};
  const names = [...new Set([...Object.keys(settings), ...Object.keys(before)])];
  const changed = names.filter((name) => settings[name] !== before[name]);
  if (changed.length === 0) return;
  throw new UserError(
    `${partialOf(part)}: it was begun with other settings (${changed.join(', ')}); give those again to go on, or --overwrite to start anew.`,
  );
}

/** The number of lines of a file that is whole. */
async function wholeLines(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    return (await measureLines(file)).lines;
  } finally {
    await file.close();
  }
}

/** Takes away what follows the last line end, which a killed process may have left. */
async function cutToWholeLines(file: FileHandle): Promise<number> {
  const { lines, end } = await measureLines(file);
  await file.truncate(end);
  return lines;
}

/** How many lines end in a file, and where the last one does. */
async function measureLines(file: FileHandle): Promise<{ lines: number; end: number }> {
  const buffer = Buffer.alloc(1 << 16);
  let lines = 0;
  let end = 0;
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return { lines, end };
    for (let place = buffer.indexOf(10); place >= 0 && place < bytesRead;) {
      lines += 1;
      end = position + place + 1;
      place = buffer.indexOf(10, place + 1);
    }
    position += bytesRead;
  }
}
