import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { withFileErrors } from '../base/errors.js';
import { exists } from '../base/files.js';

const FOLDER = /^models--(.+)$/;

/** A model in the cache. */
export interface CachedModelInfo {
  /** Its name on the hub. */
  readonly name: string;
  readonly path: string;
  /** What it takes on the disk, with what has only half arrived. */
  readonly bytes: number;
  /** Branches and tags that are in the cache, and commits that have no such name there. */
  readonly revisions: readonly string[];
}

/**
 * The models in the cache, by name; none where there is no cache yet. `@huggingface/hub` can list
 * them too, but (version 2.17) leaves out models of which only a commit was asked for, and names
 * with a slash.
 */
export async function listCachedModels(cache: string): Promise<CachedModelInfo[]> {
  if (!(await exists(cache))) return [];
  return withFileErrors(cache, async () => {
    const folders = (await readdir(cache)).sort().filter((folder) => FOLDER.test(folder));
    return Promise.all(
      folders.map((folder) => {
        const name = folder.replace(FOLDER, '$1').replace('--', '/');
        return describe(name, join(cache, folder));
      }),
    );
  });
}

async function describe(name: string, path: string): Promise<CachedModelInfo> {
  const blobs = await filesUnder(join(path, 'blobs'));
  // Where a system has no symbolic links, the files themselves lie in the snapshots.
  const snapshots = await filesUnder(join(path, 'snapshots'));
  const sizes = await Promise.all(
    [...blobs, ...snapshots].map(async (file) => {
      const about = await lstat(file).catch(() => undefined);
      return about?.isFile() === true ? about.size : 0;
    }),
  );
  return {
    name,
    path,
    bytes: sizes.reduce((total, size) => total + size, 0),
    revisions: await revisionsOf(path),
  };
}

async function revisionsOf(path: string): Promise<string[]> {
  const refs = join(path, 'refs');
  const named = await Promise.all(
    (await filesUnder(refs)).map(async (file) => {
      const commit = (await readFile(file, 'utf8').catch(() => '')).trim();
      return { commit, ref: relative(refs, file).replaceAll(sep, '/') };
    }),
  );
  const commits = (await readdir(join(path, 'snapshots')).catch(() => [])).sort();
  return commits.flatMap((commit) => {
    const names = named.filter((reference) => reference.commit === commit);
    return names.length === 0 ? [commit] : names.map(({ ref }) => ref).sort();
  });
}

/** All that is no folder in a folder and those in it; nothing where it is not there. */
async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
}
