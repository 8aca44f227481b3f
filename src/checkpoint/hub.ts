import type { ListFileEntry } from '@huggingface/hub';
import { basename } from 'node:path';
import { messageOf, UserError } from '../base/errors.js';
import { CachedModel, isCommit } from './hub-cache.js';
import { downloadFile, type DownloadProgress, HubRefusal, refusal } from './hub-download.js';
import { hubFetch } from './hub-fetch.js';
import { type HubSettings, hubSettings } from './hub-settings.js';
import { VALUE_HEAD } from './value-head.js';
import { readShardNames, WEIGHT_FILES } from './weights.js';

/** What is downloaded beside the weights, where the repository has it. */
const SMALL_FILES = [
  'config.json',
  'generation_config.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  VALUE_HEAD,
];

/** How to fetch a model. */
export interface HubOptions {
  /** A branch, tag or commit; `main` if absent. */
  readonly revision?: string;
  readonly progress?: DownloadProgress;
  /** By default what the environment says. */
  readonly settings?: HubSettings;
}

/**
 * The local folder of a model of the hub, downloaded where the cache does not hold it yet. Which
 * commit a revision is, is asked of the hub each time; where the hub cannot be reached, the last
 * known one is taken from the cache.
 *
 * The questions go through `@huggingface/hub`. Its own download into the cache neither resumes nor
 * verifies, and keeps files of one revision in several snapshots, so that part is ours.
 *
 * @param id such as `gpt2` or `microsoft/DialoGPT-small`
 * @throws UserError saying what to do.
 */
export async function downloadModel(id: string, options: HubOptions = {}): Promise<string> {
  const settings = options.settings ?? (await hubSettings());
  const revision = options.revision ?? 'main';
  if (!/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)?$/.test(id) || id.includes('..')) {
    throw new UserError(`"${id}" is no name of a model; names look like microsoft/DialoGPT-small.`);
  }
  if (!/^[\w./-]+$/.test(revision) || revision.startsWith('/') || revision.includes('..')) {
    throw new UserError(`"${revision}" is no revision; give a branch, a tag or a commit.`);
  }
  const cached = new CachedModel(settings.cache, id);
  const known = await cached.find(revision);
  if (known !== undefined) {
    const isWhole = isCommit(revision) && (await cached.isTokenizerKnown(revision));
    if (settings.offline || isWhole) return known;
  }
  if (settings.offline) {
    throw new UserError(
      `${id}: revision ${revision} is not, or not wholly, in the cache (${settings.cache}), and HF_HUB_OFFLINE forbids to download it; unset it, or give a local folder.`,
    );
  }
  const hub = new HubClient(id, settings);
  let commit: string;
  try {
    commit = await hub.commitOf(revision);
  } catch (error) {
    // Whoever has the model can work without the hub, but must hear that it is gone or closed.
    if (known !== undefined && !(error instanceof HubRefusal)) return known;
    throw error;
  }
  const hasWeights = (await cached.find(commit)) !== undefined;
  // Python's library leaves the tokenizer out where only the weights were asked for.
  if (!hasWeights || !(await cached.isTokenizerKnown(commit))) {
    await downloadSnapshot(hub, cached, commit, !hasWeights, options.progress);
  }
  await cached.writeRef(revision, commit);
  return cached.snapshot(commit);
}

async function downloadSnapshot(
  hub: HubClient,
  cached: CachedModel,
  commit: string,
  withWeights: boolean,
  progress?: DownloadProgress,
): Promise<void> {
  const files = await hub.filesAt(commit);
  const fetchFile = async (name: string): Promise<string> => {
    const entry = files.get(name);
    const checksum = entry?.lfs?.oid ?? entry?.oid;
    if (entry === undefined || checksum === undefined) {
      throw new UserError(
        `${hub.id}: there is no ${name} at commit ${commit}; this is not a model in Hugging Face's layout, so choose another one.`,
      );
    }
    if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(checksum)) {
      throw new UserError(`${hub.id}: the hub gives no checksum for ${name}; check HF_ENDPOINT.`);
    }
    const blob = cached.blob(checksum);
    const url = hub.urlOf(commit, name);
    await downloadFile(
      { name, url, size: entry.lfs?.size ?? entry.size, checksum },
      blob,
      hub.settings,
      progress,
    );
    await cached.link(commit, name, checksum);
    return blob;
  };
  const weights = WEIGHT_FILES.find((name) => files.has(name)) ?? WEIGHT_FILES[0];
  // The weights come last: a snapshot that has them has everything.
  for (const name of SMALL_FILES) {
    if (files.has(name) || name === 'config.json') await fetchFile(name);
    else await cached.noteAbsent(commit, name);
  }
  if (!withWeights) return;
  if (weights.endsWith('.index.json')) {
    const names = await readShardNames(await fetchFile(weights));
    for (const name of new Set(names.values())) await fetchFile(basename(name));
  } else {
    await fetchFile(weights);
  }
}

type HubLibrary = typeof import('@huggingface/hub');

/** The questions about one model that are asked of the hub. */
class HubClient {
  readonly id: string;
  readonly settings: HubSettings;

  constructor(id: string, settings: HubSettings) {
    this.id = id;
    this.settings = settings;
  }

  urlOf(commit: string, name: string): string {
    return `${this.settings.endpoint}/${this.id}/resolve/${commit}/${name}`;
  }

  async commitOf(revision: string): Promise<string> {
    return this.#ask(`${this.id} (revision ${revision})`, async (hub, common) => {
      const info = await hub.modelInfo({
        name: this.id,
        revision,
        additionalFields: ['sha'],
        ...common,
      });
      if (isCommit(info.sha)) return info.sha;
      throw new UserError(
        `${this.settings.endpoint}: this is no hub of models; check HF_ENDPOINT.`,
      );
    });
  }

  async filesAt(commit: string): Promise<Map<string, ListFileEntry>> {
    return this.#ask(this.id, async (hub, common) => {
      const files = new Map<string, ListFileEntry>();
      for await (const entry of hub.listFiles({ repo: this.id, revision: commit, ...common })) {
        if (entry.type === 'file') files.set(entry.path, entry);
      }
      return files;
    });
  }

  /** Asks with the token, and explains what goes wrong. */
  async #ask<T>(
    what: string,
    question: (hub: HubLibrary, common: { hubUrl: string; fetch: typeof fetch }) => Promise<T>,
  ): Promise<T> {
    // Loaded here, as most who load a model ask no hub, and it takes a tenth of a second.
    const hub = await import('@huggingface/hub');
    const { endpoint, token, patience } = this.settings;
    // Not given as `accessToken`, since the library refuses tokens that other hubs issue.
    const authorized: typeof fetch = (input, init) => {
      const headers = new Headers(init?.headers);
      if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
      const url = input instanceof Request ? input.url : String(input);
      return hubFetch(url, {
        headers,
        ...(init?.method !== undefined && { method: init.method }),
        signal: AbortSignal.timeout(patience),
      });
    };
    try {
      return await question(hub, { hubUrl: endpoint, fetch: authorized });
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (error instanceof hub.HubApiError && error.statusCode < 500) {
        throw refusal(error.statusCode, what, this.settings);
      }
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      throw new UserError(
        `${what}: ${endpoint} cannot be asked (${messageOf(cause)}); check the connection and HF_ENDPOINT, or give a local folder.`,
        { cause: error },
      );
    }
  }
}
