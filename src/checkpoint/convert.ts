import { UserError } from '../base/errors.js';
import { describeModel } from './describe.js';
import { loadCheckpoint, loadRanker, saveCheckpoint } from './folder.js';
import { saveOnnx } from './onnx-folder.js';
import { type Precision } from './onnx-weights.js';

/** What models are converted to. */
export const FORMATS = ['safetensors', 'onnx'] as const;

/**
 * Converts a model, in any format that can be read, to a folder that Python's `transformers`
 * opens (`safetensors`), or that `transformers.js` runs (`onnx`: with past keys and values, or with
 * a ranking model's scores).
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
  if (format === 'safetensors' && precision === 'int8') {
    throw new UserError('safetensors are written in fp32 or fp16; int8 is there for ONNX.');
  }
  const { isRanker } = await describeModel(from);
  const checkpoint = isRanker ? await loadRanker(from) : await loadCheckpoint(from);
  if (format === 'onnx') return saveOnnx(folder, checkpoint, precision);
  await saveCheckpoint(folder, checkpoint, precision === 'fp16' ? 'F16' : 'F32');
}
