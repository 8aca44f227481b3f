import { homedir } from 'node:os';
import { join } from 'node:path';
import { codeOf, UserError } from '../base/errors.js';
import { readText } from '../base/files.js';

/** Where models come from and where they are kept. */
export interface HubSettings {
  /** The hub's address, without a slash at the end. */
  readonly endpoint: string;
  /** The folder of the cache that all of Hugging Face's libraries share. */
  readonly cache: string;
  /** The access token, for private and gated models. */
  readonly token?: string;
  /** Whether nothing may be asked of the network. */
  readonly offline: boolean;
  /** How long a connection may be silent, in milliseconds. */
  readonly patience: number;
  /** How long to wait before the first new attempt, in milliseconds; doubled for each further. */
  readonly pause: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings that the environment gives, read as Python's `huggingface_hub` does
 * (`constants.py`, `_auth.py`): `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`,
 * `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`, `HF_HUB_DOWNLOAD_TIMEOUT`, and their older names.
 */
export async function hubSettings(environment: Environment = process.env): Promise<HubSettings> {
  // As in Python, a variable that is set to nothing counts as unset for most purposes.
  const variable = (name: string): string | undefined =>
    environment[name] === '' ? undefined : environment[name];
  const path = (text: string): string => expandPath(text, environment);
  const shared = variable('XDG_CACHE_HOME') ?? join(path('~'), '.cache');
  const home = path(variable('HF_HOME') ?? join(shared, 'huggingface'));
  const cache = variable('HF_HUB_CACHE') ?? variable('HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub');
  const tokenPath = path(variable('HF_TOKEN_PATH') ?? join(home, 'token'));
  const token =
    cleanToken(variable('HF_TOKEN') ?? '') ??
    cleanToken(variable('HUGGING_FACE_HUB_TOKEN') ?? '') ??
    (await readToken(tokenPath));
  const offline = variable('HF_HUB_OFFLINE') ?? variable('TRANSFORMERS_OFFLINE');
  const seconds = Number(variable('HF_HUB_DOWNLOAD_TIMEOUT') ?? 10);
  return {
    endpoint: (variable('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, ''),
    cache: path(cache),
    ...(token === undefined ? {} : { token }),
    offline: ['1', 'ON', 'YES', 'TRUE'].includes(offline?.toUpperCase() ?? ''),
    patience: (seconds > 0 ? seconds : 10) * 1000,
    pause: 1000,
  };
}

/** Replaces a leading `~` by the home folder, and `$NAME` and `${NAME}` by what they stand for. */
function expandPath(text: string, environment: Environment): string {
  const home = environment.HOME ?? homedir();
  return text
    .replace(/^~(?=\/|$)/, () => home)
    .replace(/\$(?:(\w+)|\{(\w+)\})/g, (match, bare?: string, braced?: string) => {
      return environment[bare ?? braced ?? ''] ?? match;
    });
}

function cleanToken(text: string): string | undefined {
  const token = text.replace(/[\r\n]/g, '').trim();
  return token === '' ? undefined : token;
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    return cleanToken(await readText(path));
  } catch (error) {
    if (error instanceof UserError && codeOf(error.cause) === 'ENOENT') return undefined;
    throw error;
  }
}
