import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { withFileErrors } from '../base/errors.js';
import { exists } from '../base/files.js';
import { writeInt8 } from './int8.js';
import { openParameters } from './parameters.js';
import { readSafetensorsHeader } from './safetensors.js';

/** What a cached file says of the files that it was made from. */
const sourceSchema = z.array(
  z.object({ name: z.string(), size: z.number(), modified: z.number(), sha256: z.string() }),
);

type SourceFile = z.infer<typeof sourceSchema>[number];

/** Raised when the same weights would be quantised to other numbers. */
const VERSION = '1';

/**
 * The 8-bit weights of a model, as a file; made where it does not exist yet, or the model's files
 * have changed since. They have changed if size or time of change differ and so does the hash.
 *
 * The file lies beside the model. Where nothing can be written there, or the model is a snapshot of
 * the hub's cache, whose files are links, it lies in `dialogpt/int8` of the user's cache
 * (`XDG_CACHE_HOME`, `~/.cache`), under a name made of the model's path. It is written whole and
 * moved to its place, so that of two processes at once, the later one's takes its place.
 *
 * @param path a folder or file of weights
 */
export async function int8File(path: string): Promise<string> {
  const { files } = await openParameters(path);
  const target = await cachePlace(path, files);
  const known = await describedSources(target);
  if (known !== undefined && (await areUnchanged(files, known))) return target;
  const sources: SourceFile[] = [];
  for (const file of files) {
    sources.push({ ...(await fileState(file)), sha256: await sha256Of(file) });
  }
  await writeInt8(path, target, { version: VERSION, sources: JSON.stringify(sources) });
  return target;
}

async function cachePlace(path: string, files: readonly string[]): Promise<string> {
  const [first = path] = files;
  const folder = dirname(first);
  if ((await isWritable(folder)) && (await realpath(first)) === (await resolved(first))) {
    return join(
      folder,
      `${basename(first).replace(/\.[^.]*$|\.safetensors.*$/, '')}.int8.safetensors`,
    );
  }
  const caches = process.env.XDG_CACHE_HOME ?? '';
  const name = createHash('sha256').update(resolve(path)).digest('hex').slice(0, 16);
  const cache = caches === '' ? join(homedir(), '.cache') : caches;
  return join(cache, 'dialogpt', 'int8', `${name}.safetensors`);
}

/** A file's path where only its folders may be links. */
async function resolved(file: string): Promise<string> {
  return join(await realpath(dirname(file)), basename(file));
}

async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** What the file at `target` was made from; undefined if it is not there or not of use. */
async function describedSources(target: string): Promise<SourceFile[] | undefined> {
  if (!(await exists(target))) return undefined;
  try {
    const { metadata } = await readSafetensorsHeader(target);
    if (metadata.get('version') !== VERSION) return undefined;
    return sourceSchema.parse(JSON.parse(metadata.get('sources') ?? ''));
  } catch {
    // Whatever lies there is no cache of ours, or damaged: it is made anew.
    return undefined;
  }
}

async function areUnchanged(
  files: readonly string[],
  known: readonly SourceFile[],
): Promise<boolean> {
  if (files.length !== known.length) return false;
  for (const [index, file] of files.entries()) {
    const { name, size, modified } = await fileState(file);
    const before = known[index];
    if (name !== before?.name || size !== before.size) return false;
    if (modified !== before.modified && (await sha256Of(file)) !== before.sha256) return false;
  }
  return true;
}

async function fileState(file: string): Promise<Omit<SourceFile, 'sha256'>> {
  const { size, mtimeMs } = await withFileErrors(file, () => stat(file));
  return { name: basename(file), size, modified: mtimeMs };
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await withFileErrors(file, async () => {
    for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 })) {
      hash.update(z.instanceof(Buffer).parse(piece));
    }
  });
  return hash.digest('hex');
}
