import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type ReadableStreamDefaultReader } from 'node:stream/web';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, UserError, withFileErrors } from '../base/errors.js';
import { exists } from '../base/files.js';
import { hubFetch } from './hub-fetch.js';
import { type HubSettings } from './hub-settings.js';

/** Called as a download goes on: bytes that are there, of how many. */
export type DownloadProgress = (file: string, done: number, total: number) => void;

/** One file to be downloaded. */
export interface HubFile {
  /** Its name in the repository, for messages. */
  readonly name: string;
  readonly url: string;
  /** Its size in bytes. */
  readonly size: number;
  /** The SHA-256 of a large file, or the git blob SHA-1 of a small one, in hexadecimal. */
  readonly checksum: string;
}

/** An answer of the hub that another attempt will not change. */
export class HubRefusal extends UserError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** How many attempts in a row may bring nothing new. */
const MOST_ATTEMPTS = 5;

/**
 * Downloads a file to `path`. What arrives is kept in `path.incomplete`, as Python's
 * `huggingface_hub` does; after a broken connection, or in the next process, the download goes on
 * where it stopped. While another process downloads the file, this one waits. The finished file is checked against its checksum before it takes its name.
 *
 * @throws UserError saying what to do: after several attempts without a new byte, at an answer
 *   that will not change ({@link HubRefusal}), or where the checksum differs.
 */
export async function downloadFile(
  file: HubFile,
  path: string,
  settings: HubSettings,
  progress?: DownloadProgress,
): Promise<void> {
  if (await exists(path)) return;
  const incomplete = `${path}.incomplete`;
  await withFileErrors(incomplete, async () => {
    await mkdir(dirname(path), { recursive: true });
    // Loaded here only: it listens to signals of which other commands must not hear.
    const { lock } = await import('proper-lockfile');
    const release = await lock(incomplete, LOCKING);
    try {
      // Another process may have downloaded it meanwhile.
      if (!(await exists(path))) await downloadLocked(file, path, incomplete, settings, progress);
    } finally {
      await release();
    }
  });
}

/** How a file that is being downloaded is kept from other processes. */
const LOCKING = {
  realpath: false,
  // The lock of a process that was killed counts no more after so many milliseconds.
  stale: 10_000,
  update: 2000,
  retries: { forever: true, minTimeout: 100, maxTimeout: 1000 },
  // A machine that slept loses its lock; two that write then are found out by the checksum.
  onCompromised: () => undefined,
};

async function downloadLocked(
  file: HubFile,
  path: string,
  incomplete: string,
  settings: HubSettings,
  progress?: DownloadProgress,
): Promise<void> {
  for (let attempts = 0; ;) {
    const before = await sizeOf(incomplete);
    try {
      await fetchRest(file, incomplete, before, settings, progress);
      break;
    } catch (error) {
      if (!(error instanceof BrokenConnection)) throw error;
      attempts = (await sizeOf(incomplete)) > before ? 1 : attempts + 1;
      if (attempts >= MOST_ATTEMPTS) {
        throw new UserError(
          `${file.url}: the download broke off ${attempts} times in a row (${reasonOf(error)}); check the connection and run the same command again, it goes on where it stopped.`,
          { cause: error },
        );
      }
      await sleep(settings.pause * 2 ** (attempts - 1));
    }
  }
  await verify(file, incomplete);
  await rename(incomplete, path);
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Wraps what the network throws and may not throw again, unlike the disk or a refusal. */
class BrokenConnection extends Error {}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return messageOf(cause instanceof Error && cause.cause !== undefined ? cause.cause : cause);
}

async function fetchRest(
  file: HubFile,
  incomplete: string,
  alreadyThere: number,
  settings: HubSettings,
  progress?: DownloadProgress,
): Promise<void> {
  let done = alreadyThere > file.size ? 0 : alreadyThere;
  progress?.(file.name, done, file.size);
  const output = await open(incomplete, done === 0 ? 'w' : 'r+');
  try {
    if (done === file.size) return;
    const silence = new AbortController();
    const timer = setTimeout(() => {
      silence.abort(new Error(`no data for ${settings.patience / 1000} seconds`));
    }, settings.patience);
    try {
      const response = await request(file, done, settings, silence.signal);
      if (startOf(response) !== done) {
        done = 0;
        await output.truncate(0);
      }
      await receive(response, async (bytes) => {
        timer.refresh();
        await writeAt(output, bytes, done);
        done += bytes.byteLength;
        progress?.(file.name, done, file.size);
      });
    } finally {
      clearTimeout(timer);
    }
  } finally {
    await output.close();
  }
  if (done < file.size) throw new BrokenConnection(`${done} of ${file.size} bytes arrived`);
}

async function writeAt(output: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let offset = 0; offset < bytes.byteLength;) {
    const length = bytes.byteLength - offset;
    const { bytesWritten } = await output.write(bytes, offset, length, position + offset);
    offset += bytesWritten;
  }
}

async function request(
  file: HubFile,
  start: number,
  settings: HubSettings,
  signal: AbortSignal,
): Promise<Response> {
  const headers = new Headers({ 'Accept-Encoding': 'identity' });
  if (settings.token !== undefined) headers.set('Authorization', `Bearer ${settings.token}`);
  if (start > 0) headers.set('Range', `bytes=${start}-`);
  let response: Response;
  try {
    // fetch drops the Authorization header where a redirect leads to another host.
    response = await hubFetch(file.url, { headers, signal });
  } catch (error) {
    throw new BrokenConnection(messageOf(error), { cause: error });
  }
  if (response.ok) return response;
  await response.body?.cancel();
  if (response.status >= 500 || response.status === 429) {
    throw new BrokenConnection(`the hub answers ${response.status}`);
  }
  throw refusal(response.status, file.url, settings);
}

/** The first byte that a response brings: not that of the range asked for where it was ignored. */
function startOf(response: Response): number {
  if (response.status !== 206) return 0;
  const match = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
  return Number(match?.[1] ?? 0);
}

async function receive(
  response: Response,
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new BrokenConnection(messageOf(error), { cause: error });
      });
      if (done) return;
      await take(value);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function verify(file: HubFile, incomplete: string): Promise<void> {
  const actual = await checksumLike(file.checksum, incomplete);
  if (actual === file.checksum) return;
  await rm(incomplete, { force: true });
  throw new UserError(
    `${file.url}: the checksum of what arrived is ${actual} instead of ${file.checksum}; it was thrown away, so run the same command again, and if that does not help ask the keepers of the hub or mirror (HF_ENDPOINT).`,
  );
}

/** A file's checksum, of the kind that `checksum` is: SHA-256, or a git blob's SHA-1. */
export async function checksumLike(checksum: string, path: string): Promise<string> {
  const isSha256 = checksum.length === 64;
  const hash = createHash(isSha256 ? 'sha256' : 'sha1');
  if (!isSha256) hash.update(`blob ${await sizeOf(path)}\0`);
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    if (piece instanceof Uint8Array) hash.update(piece);
  }
  return hash.digest('hex');
}

/** What to tell a person whom the hub refused. */
export function refusal(status: number, what: string, settings: HubSettings): HubRefusal {
  const advice = (): string => {
    if (status === 401) {
      return settings.token === undefined
        ? 'there is no such model, or it is private; check the name, or set HF_TOKEN to a token that may read it'
        : 'the access token is not accepted; check HF_TOKEN, or the file that `hf auth login` wrote, and the name of the model';
    }
    if (status === 403) {
      return `the model is gated; ask for access on its page at ${settings.endpoint}, then set HF_TOKEN to a token of yours`;
    }
    if (status === 404) {
      return 'there is no such model, revision or file; check the name, and the part after "@" if there is one';
    }
    return 'check the name of the model and HF_ENDPOINT';
  };
  return new HubRefusal(status, `${what}: the hub answers ${status}: ${advice()}.`);
}
