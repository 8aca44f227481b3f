import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { exists } from '../base/files.js';
import { downloadModel, type HubOptions } from './hub.js';

/** Short names for the models that DialoGPT was published as. */
export const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ['small', 'microsoft/DialoGPT-small'],
  ['medium', 'microsoft/DialoGPT-medium'],
  ['large', 'microsoft/DialoGPT-large'],
]);

/** The model that is talked to where none is named; it comes with the package. */
export const DEFAULT_MODEL = 'small-talk';

/** The models that come with the package, which is above the compiled program. */
const PACKAGED_MODELS = new Map(
  [DEFAULT_MODEL, 'small-talk-reverse'].map((name) => [
    name,
    join(import.meta.dirname, '../../../models', name),
  ]),
);

/**
 * Finds the model that a person named: a local folder or file; `small-talk`, which comes with the
 * package; `small`, `medium` or `large`; or a model of the hub (`gpt2`, `microsoft/DialoGPT-small`, with `@REVISION` behind it if wanted),
 * which is downloaded into the cache.
 *
 * @returns the path of a local folder or file.
 * @throws UserError where there is no such model.
 */
export async function resolveModel(name: string, options: HubOptions = {}): Promise<string> {
  if (await exists(name)) return name;
  const packaged = PACKAGED_MODELS.get(name);
  if (packaged !== undefined) return packaged;
  const [id = '', revision] = name.split(/@(.*)/s);
  if (/^[./~]|\\|\/.*\/|\.(?:safetensors|bin|pkl|pth|pt|json)$/.test(id)) {
    throw new UserError(`${name}: no such file or folder; check the path.`);
  }
  return downloadModel(SHORT_NAMES.get(id) ?? id, {
    ...options,
    ...(revision === undefined ? {} : { revision }),
  });
}
