import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import type { DumpKind } from './dump-rows.js';

/** A dump that was found. */
export interface DumpFile {
  readonly path: string;
  readonly size: number;
  /** When it was last changed, in milliseconds. */
  readonly changed: number;
}

const PREFIXES: Readonly<Record<DumpKind, readonly string[]>> = {
  submissions: ['RS_', 'RS_v2_'],
  comments: ['RC_'],
};

/** What file names may end in; what is inside is told from the bytes. */
export const DUMP_ENDINGS = ['.zst', '.xz', '.bz2', '.gz', '.ndjson', '.jsonl', ''] as const;

/** Where a month's dump of this kind would be looked for, in order. */
function candidates(folder: string, kind: DumpKind, month: string): string[] {
  // Arctic Shift's torrents keep the two kinds apart.
  return [folder, join(folder, kind)].flatMap((place) =>
    PREFIXES[kind].flatMap((prefix) =>
      DUMP_ENDINGS.map((ending) => join(place, `${prefix}${month}${ending}`)),
    ),
  );
}

/**
 * Finds a month's dump.
 *
 * @throws UserError that says which file to put where.
 */
export async function findDump(folder: string, kind: DumpKind, month: string): Promise<DumpFile> {
  for (const path of candidates(folder, kind, month)) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === true) return { path, size: found.size, changed: found.mtimeMs };
  }
  const name = join(folder, `${PREFIXES[kind].slice(0, 1).join('')}${month}.zst`);
  throw new UserError(
    `${name} is missing (.xz, .bz2, .gz and plain are read too): put the ${kind} of ${month} there, as pushshift or Arctic Shift publish them, or fetch them with --download.`,
  );
}
