import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { exists, readJson } from '../base/files.js';
import { describeModel } from './describe.js';
import {
  GENERATION_CONFIG,
  loadCheckpoint,
  loadRanker,
  saveCheckpoint,
  saveInt8Checkpoint,
  writeJson,
} from './folder.js';
import { saveOnnx } from './onnx-folder.js';
import { type Precision } from './onnx-weights.js';
import { readConfig } from './parameters.js';
import { hasValueHead, loadValueHead, saveValueHead } from './value-head.js';

/** What models are converted to. */
export const FORMATS = ['safetensors', 'onnx'] as const;

/**
 * Converts a model, in any format that can be read, to a folder that Python's `transformers`
 * opens (`safetensors`; only we open `int8` ones), or that `transformers.js` runs (`onnx`: with past
 * keys and values, or with a ranking model's scores). How the model says that it replies best
 * (`generation_config.json`) goes along, and into `safetensors` its value head.
 *
 * @param from a local folder or file; see {@link resolveModel} for names.
 * @param folder where to write; files of the same names are replaced, others stay.
 * @throws UserError where the model cannot be read, or not be had in this precision.
 */
export async function convertModel(
  from: string,
  folder: string,
  format: (typeof FORMATS)[number],
  precision: Precision,
): Promise<void> {
  const { isRanker } = await describeModel(from);
  const said = isRanker ? undefined : await generationConfigOf(from);
  if (format === 'safetensors' && precision === 'int8') {
    if (isRanker) throw new UserError(`${from}: a ranking model is written in fp32 or fp16 only.`);
    await saveInt8Checkpoint(folder, from);
  } else {
    const checkpoint = isRanker ? await loadRanker(from) : await loadCheckpoint(from);
    if (format === 'onnx') await saveOnnx(folder, checkpoint, precision);
    else await saveCheckpoint(folder, checkpoint, precision === 'fp16' ? 'F16' : 'F32');
  }
  if (said !== undefined) await writeJson(join(folder, GENERATION_CONFIG), said);
  if (format === 'safetensors' && (await hasValueHead(from))) {
    await saveValueHead(folder, await loadValueHead(from, (await readConfig(from)).n_embd));
  }
}

/** What a folder's `generation_config.json` holds; a single file of weights has none. */
async function generationConfigOf(path: string): Promise<object | undefined> {
  const file = join(path, GENERATION_CONFIG);
  if (!(await exists(file))) return undefined;
  const said = await readJson(file);
  if (typeof said === 'object' && said !== null && !Array.isArray(said)) return said;
  throw new UserError(`${file}: this is no JSON object; mend the file or remove it.`);
}
