import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '../base/arrays.js';
import { UserError, withFileErrors } from '../base/errors.js';
import { exists } from '../base/files.js';
import { openSafetensors, writeSafetensors } from './safetensors.js';

/** The file in a model's folder that holds its value head. */
export const VALUE_HEAD = 'value_head.safetensors';

/**
 * What a language model's value head multiplies: a linear head that tells replies that do from
 * others by what the model itself makes of them (Kadavath et al. 2022, "Language models (mostly)
 * know what they know", section 5; here the model stays as it is).
 */
export interface ValueHead {
  /** For the model's state at the end of a reply: `[n_embd]`. */
  readonly state: Float32Array;
  /** For the reply's log-probability, the same for a token, and its tokens: `[3]`. */
  readonly measures: Float32Array;
  readonly bias: number;
}

/** How many measures of a reply a head looks at besides the state. */
export const VALUE_MEASURES = 3;

/** Whether a model's folder holds a value head; a single file of weights has none. */
export async function hasValueHead(path: string): Promise<boolean> {
  return exists(join(path, VALUE_HEAD));
}

/**
 * Loads a model's value head.
 *
 * @param path the model's folder
 * @param width the model's `n_embd`
 * @throws UserError if there is none, it is damaged, or belongs to another model.
 */
export async function loadValueHead(path: string, width: number): Promise<ValueHead> {
  const file = join(path, VALUE_HEAD);
  await withFileErrors(file, () => stat(file));
  const tensors = await openSafetensors(file);
  const read = async (name: string, length: number): Promise<Float32Array> => {
    const source = tensors.get(name);
    if (source === undefined) {
      throw new UserError(`${file}: there is no "${name}" in it; this is no value head.`);
    }
    if (source.shape.length !== 1 || source.shape[0] !== length) {
      throw new UserError(
        `${source.origin}: its shape is [${source.shape.join(', ')}], not [${length}]; the value head is another model's.`,
      );
    }
    const values = new Float32Array(length);
    await source.readInto(values);
    return values;
  };
  return {
    state: await read('state', width),
    measures: await read('measures', VALUE_MEASURES),
    bias: at(await read('bias', 1), 0),
  };
}

/** Writes a value head into a model's folder, whole or not at all. */
export async function saveValueHead(
  folder: string,
  { state, measures, bias }: ValueHead,
): Promise<void> {
  await writeSafetensors(join(folder, VALUE_HEAD), [
    { name: 'state', shape: [state.length], data: state },
    { name: 'measures', shape: [measures.length], data: measures },
    { name: 'bias', shape: [1], data: Float32Array.of(bias) },
  ]);
}
