import { copyFile, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { codeOf, withFileErrors } from '../base/errors.js';
import { exists, writeFileWhole } from '../base/files.js';
import { hasTokenizer, TOKENIZER_FILES } from '../tokenizer/index.js';
import { findWeightFiles } from './weights.js';

const COMMIT = /^[0-9a-f]{40}$/;

/** Whether a revision is a full commit hash, which never changes its meaning. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/**
 * One model's part of the cache, laid out as Python's `huggingface_hub` does: `blobs/` holds the
 * files under their checksums, `snapshots/COMMIT/` links to them under their names, and
 * `refs/REVISION` tells a revision's commit.
 */
export class CachedModel {
  readonly folder: string;

  constructor(cache: string, id: string) {
    this.folder = join(cache, `models--${id.replaceAll('/', '--')}`);
  }

  blob(checksum: string): string {
    return join(this.folder, 'blobs', checksum);
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  /** The folder of a revision, if all files that the model needs are there. */
  async find(revision: string): Promise<string | undefined> {
    const commit = isCommit(revision) ? revision : await this.#readRef(revision);
    if (commit === undefined) return undefined;
    const snapshot = this.snapshot(commit);
    return (await isComplete(snapshot)) ? snapshot : undefined;
  }

  /** Links `name` of a snapshot to its blob; a copy where the system has no symbolic links. */
  async link(commit: string, name: string, checksum: string): Promise<void> {
    const blob = this.blob(checksum);
    const path = join(this.snapshot(commit), name);
    if (await exists(path)) return;
    await withFileErrors(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      await rm(path, { force: true });
      try {
        await symlink(relative(dirname(path), blob), path);
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return;
        if (codeOf(error) !== 'EPERM' && codeOf(error) !== 'ENOSYS') throw error;
        await copyFile(blob, path);
      }
    });
  }

  /** Notes that a commit has no such file, as Python does, so that the hub is not asked again. */
  async noteAbsent(commit: string, name: string): Promise<void> {
    // A cache that cannot be written to is as good; only the hub will be asked again.
    await writeFileWhole(this.#absence(commit, name), '').catch(() => undefined);
  }

  #absence(commit: string, name: string): string {
    return join(this.folder, '.no_exist', commit, name);
  }

  /** Whether a commit's tokenizer is in the cache, or is known not to be there at all. */
  async isTokenizerKnown(commit: string): Promise<boolean> {
    if (await hasTokenizer(this.snapshot(commit))) return true;
    const notes = TOKENIZER_FILES.map((name) => exists(this.#absence(commit, name)));
    return (await Promise.all(notes)).every(Boolean);
  }

  /** Notes which commit a revision is. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.#readRef(revision)) === commit) return;
    await writeFileWhole(join(this.folder, 'refs', revision), commit);
  }

  async #readRef(revision: string): Promise<string | undefined> {
    const text = await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '');
    return isCommit(text.trim()) ? text.trim() : undefined;
  }
}

/** Whether a snapshot has a configuration and all of its weights. */
async function isComplete(snapshot: string): Promise<boolean> {
  if (!(await exists(join(snapshot, 'config.json')))) return false;
  const files = await findWeightFiles(snapshot);
  return files.length > 0 && (await Promise.all(files.map(exists))).every(Boolean);
}
