import { messageOf, UserError } from '../base/errors.js';

/** The files of a model, in memory. */
export interface ModelFiles {
  /** What is in `config.json`. */
  readonly config: unknown;
  /** What is in `vocab.json`. */
  readonly vocabulary: unknown;
  /** What is in `generation_config.json`: how the model replies where nothing is said. */
  readonly generation?: unknown;
  /** The text of `merges.txt`. */
  readonly merges: string;
  /** The bytes of `model.safetensors`. */
  readonly weights: Uint8Array;
}

/** How much of a model has come, in bytes. */
export interface LoadProgress {
  readonly loaded: number;
  /** All there is to come; unknown where the server does not say. */
  readonly total: number | undefined;
}

/** How files are asked for. */
export interface FetchOptions {
  /** Headers of each request, such as `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Is told while the weights come. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Ends loading. */
  readonly signal?: AbortSignal;
}

/**
 * Fetches a model's files: those of a folder in Hugging Face's layout that a server gives out, such
 * as `dialogpt train` and `dialogpt convert` write.
 *
 * @param folder the folder's address
 * @throws UserError where a file does not come, or is not what its name says.
 */
export async function fetchModel(folder: string, options: FetchOptions = {}): Promise<ModelFiles> {
  const base = folder.endsWith('/') ? folder : `${folder}/`;
  const [config, vocabulary, merges, generation] = await Promise.all([
    json(base, 'config.json', options),
    json(base, 'vocab.json', options),
    ask(base, 'merges.txt', options).then((response) => response.text()),
    jsonIfAny(base, 'generation_config.json', options),
  ]);
  const response = await ask(base, 'model.safetensors', options);
  const weights = await allBytes(response, options.onProgress);
  return { config, vocabulary, merges, generation, weights };
}

async function ask(base: string, name: string, options: FetchOptions): Promise<Response> {
  const response = await answer(base + name, options);
  if (response.ok) return response;
  throw refused(response, base + name);
}

async function answer(url: string, { headers = {}, signal }: FetchOptions): Promise<Response> {
  try {
    return await fetch(url, { headers, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    signal?.throwIfAborted();
    throw new UserError(`${url} cannot be fetched: ${messageOf(error)}.`, { cause: error });
  }
}

function refused({ status }: Response, url: string): UserError {
  return new UserError(`${url} cannot be fetched: the server answered ${status}.`);
}

/** A file that a folder may lack. */
async function jsonIfAny(base: string, name: string, options: FetchOptions): Promise<unknown> {
  const response = await answer(base + name, options);
  // Servers of single pages answer with their page where there is no file.
  const page = response.headers.get('content-type')?.startsWith('text/html') === true;
  if (response.status === 404 || (response.ok && page)) return undefined;
  if (!response.ok) throw refused(response, base + name);
  return parsed(response, base + name, options);
}

async function json(base: string, name: string, options: FetchOptions): Promise<unknown> {
  return parsed(await ask(base, name, options), base + name, options);
}

async function parsed(response: Response, url: string, options: FetchOptions): Promise<unknown> {
  try {
    const value: unknown = await response.json();
    return value;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new UserError(`${url} is not valid JSON (${messageOf(error)}).`, { cause: error });
  }
}

/** The body of an answer, in one piece of memory where its length is known before. */
async function allBytes(
  response: Response,
  onProgress: FetchOptions['onProgress'],
): Promise<Uint8Array> {
  // Where a body comes compressed, the length is that of the compressed bytes.
  const told = response.headers.has('content-encoding')
    ? null
    : response.headers.get('content-length');
  const total = told === null ? undefined : Number(told);
  let bytes = new Uint8Array(total ?? 1 << 20);
  let loaded = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const next: { readonly value?: unknown } = (await reader?.read()) ?? {};
    const piece = next.value;
    if (!(piece instanceof Uint8Array)) break;
    if (loaded + piece.length > bytes.length) {
      const larger = new Uint8Array(Math.max(loaded + piece.length, bytes.length * 2));
      larger.set(bytes.subarray(0, loaded));
      bytes = larger;
    }
    bytes.set(piece, loaded);
    loaded += piece.length;
    onProgress?.({ loaded, total });
  }
  return bytes.subarray(0, loaded);
}
