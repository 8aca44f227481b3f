import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { UserError } from '../base/errors.js';
import { addsSignedBytes } from '../runtime/index.js';
import { int8File } from './int8-cache.js';
import { loadParameters, openParameters, type StoredParameters } from './parameters.js';
import {
  areStoredAs,
  type DecodingType,
  type GraphWeights,
  memoryWeights,
  storedWeights,
} from './stored-weights.js';

/**
 * The weights of a language model to decode with.
 *
 * `fp32` takes numbers from the model's own files where they lie there as a graph can read them: 32
 * bits are mapped and not copied, 16 bits widened one matrix at a time. Others are converted in
 * memory. `int8` takes 8-bit weights from the model's file if it is one of them, and else quantises the model once; see {@link int8File}.
 *
 * @param path a folder or file of weights, in any format
 * @param wanted unless given, `int8` for a model that is stored so, and else `fp32`
 * @throws UserError where the file is damaged, or does not hold this model's tensors.
 */
export async function openGraphWeights(path: string, wanted?: DecodingType): Promise<GraphWeights> {
  const stored = await openParameters(path);
  const dtype = wanted ?? (areStoredAs(stored.config, stored.sources, 'int8') ? 'int8' : 'fp32');
  if (areStoredAs(stored.config, stored.sources, dtype)) return weightsInFiles(stored, dtype);
  return dtype === 'fp32'
    ? memoryWeights(await loadParameters(path))
    : weightsInFiles(await openParameters(await int8File(path)), dtype);
}

/** Weights in files that a graph can point into. */
async function weightsInFiles(
  { config, sources, files }: StoredParameters,
  dtype: DecodingType,
): Promise<GraphWeights> {
  // ONNX Runtime refuses files that links lead out of the folder for.
  const real = new Map<string, string>();
  for (const file of files) real.set(file, await realpath(file));
  const folders = new Set(Array.from(real.values(), dirname));
  const [folder = ''] = folders;
  if (folders.size > 1) {
    throw new UserError(
      `${files.join(', ')}: these weights lie in several folders; move them together.`,
    );
  }
  const locate = (path: string): string => basename(real.get(path) ?? path);
  const products = dtype === 'int8' && (await addsSignedBytes()) ? 'signed' : 'unsigned';
  return storedWeights(config, sources, dtype, { folder }, locate, products);
}
