import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf, UserError } from '../base/errors.js';
import { findDump } from './dump-files.js';
import type { DumpKind } from './dump-rows.js';

/** Where the original's Makefile fetched from, long closed; give mirrors of your own. */
export const DEFAULT_MIRRORS: string[] = ['https://files.pushshift.io/reddit'];

export interface DownloadOptions {
  /** Addresses of folders with `comments/RC_MONTH.zst` and `submissions/RS_MONTH.zst`, in order. */
  readonly mirrors: readonly string[];
  /** The sha256 (hexadecimal) a file must have, by its name; others are checked by size alone. */
  readonly checksums?: ReadonlyMap<string, string>;
  readonly onProgress?: (name: string, bytes: number, total: number) => void;
}

/** Reads a list as `sha256sum` writes it: `checksum  name`, one a line. */
export function parseChecksums(text: string): ReadonlyMap<string, string> {
  const entries = text.matchAll(/^([0-9a-f]{64}) [ *](?:.*\/)?([^/\n]+)$/gim);
  return new Map([...entries].map(([, sum = '', name = '']) => [name.trim(), sum.toLowerCase()]));
}

/**
 * Fetches a month's dumps that are not there yet. What an interrupted download left
 * (`NAME.partial`) is gone on with; a file takes its name only when its size, and its checksum
 * where one is known, are right.
 *
 * @throws UserError where no mirror has a dump.
 */
export async function downloadMonth(
  folder: string,
  month: string,
  options: DownloadOptions,
): Promise<void> {
  for (const kind of ['submissions', 'comments'] as const) {
    if (await isThere(folder, kind, month)) continue;
    const name = `${kind === 'comments' ? 'RC' : 'RS'}_${month}.zst`;
    const complaints: string[] = [];
    let fetched = false;
    for (const mirror of options.mirrors) {
      const address = `${mirror.replace(/\/$/, '')}/${kind}/${name}`;
      try {
        await fetchFile(address, join(folder, name), name, options);
        fetched = true;
        break;
      } catch (error) {
        complaints.push(`${address}: ${messageOf(error)}`);
      }
    }
    if (!fetched) {
      throw new UserError(
        `No mirror gave ${name} (${complaints.join('; ')}): put the file into ${folder} yourself, or name another --mirror.`,
      );
    }
  }
}

async function isThere(folder: string, kind: DumpKind, month: string): Promise<boolean> {
  return findDump(folder, kind, month).then(
    () => true,
    () => false,
  );
}

async function fetchFile(
  address: string,
  path: string,
  name: string,
  options: DownloadOptions,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  const have = await stat(partial).then(
    ({ size }) => size,
    () => 0,
  );
  const response = await fetch(address, have > 0 ? { headers: { range: `bytes=${have}-` } } : {});
  // A server without ranges sends the whole file again; one that has no more says 416.
  const goesOn = response.status === 206;
  if (response.status !== 416) {
    if (!response.ok || response.body === null) throw new Error(`answered ${response.status}`);
    const start = goesOn ? have : 0;
    const announced = Number(response.headers.get('content-length') ?? NaN);
    const total = start + announced;
    let done = start;
    const counted = async function* (pieces: AsyncIterable<Uint8Array>) {
      for await (const piece of pieces) {
        done += piece.length;
        options.onProgress?.(name, done, total);
        yield piece;
      }
    };
    const flags = goesOn ? 'a' : 'w';
    await pipeline(Readable.fromWeb(response.body), counted, createWriteStream(partial, { flags }));
    if (!Number.isNaN(total) && done !== total) {
      throw new Error(`gave ${done} of ${total} bytes; run again to go on`);
    }
  }
  const expected = options.checksums?.get(name);
  if (expected !== undefined && (await sha256(partial)) !== expected) {
    await rm(partial);
    throw new Error('the file has another checksum');
  }
  await rename(partial, path);
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
