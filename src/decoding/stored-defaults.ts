import { join } from 'node:path';
import { exists, readJson } from '../base/files.js';
import { type ModelDefaults, parseModelDefaults } from './model-defaults.js';

const FILE = 'generation_config.json';

/**
 * What the `generation_config.json` in a model's folder says; nothing where there is none.
 *
 * @param path the folder or file that the model was loaded from; a file has no defaults.
 * @throws UserError naming the file where it is no JSON.
 */
export async function readGenerationConfig(path: string): Promise<unknown> {
  const file = join(path, FILE);
  return (await exists(file)) ? await readJson(file) : {};
}

/**
 * Reads how a model replies where nothing else is asked for, from the `generation_config.json` in its
 * folder; see {@link parseModelDefaults}.
 *
 * @param path the folder or file that the model was loaded from; a file has no defaults.
 * @throws UserError naming the file where an option in it cannot be.
 */
export async function readModelDefaults(path: string): Promise<ModelDefaults> {
  return parseModelDefaults(await readGenerationConfig(path), join(path, FILE));
}
