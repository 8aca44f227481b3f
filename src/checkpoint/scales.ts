import { UserError } from '../base/errors.js';
import { dequantize, hasRowScales } from './byte-matrices.js';
import { elementCount, type FilePlace, type TensorSource } from './tensor-source.js';

/**
 * Weights in 8 bits as we write them: every matrix to multiply by, the token embedding among them,
 * is `U8` of the same name and shape, and `NAME_scale` (`F32`) has a number for each of its outputs:
 * for each column, and for each row of the embedding. A weight is `scale · (byte − 128)`. All else
 * is `F32` as ever.
 */
export const SCALE = '_scale';

/**
 * The tensors of a checkpoint, with bytes and their scales taken together as one tensor, which reads
 * as 32-bit numbers.
 */
export function withScales(
  tensors: ReadonlyMap<string, TensorSource>,
): ReadonlyMap<string, TensorSource> {
  const whole = new Map(tensors);
  for (const [name, source] of tensors) {
    const scales = tensors.get(`${name}${SCALE}`);
    if (source.dtype !== 'U8' || scales?.dtype !== 'F32') continue;
    if (source.place === undefined || scales.place === undefined) continue;
    whole.delete(`${name}${SCALE}`);
    whole.set(name, scaled(name, source, source.place, scales, scales.place));
  }
  return whole;
}

function scaled(
  name: string,
  source: TensorSource,
  place: FilePlace,
  scales: TensorSource,
  scalePlace: FilePlace,
): TensorSource {
  const { origin, shape } = source;
  const byRow = hasRowScales(name);
  const [rows = 0, columns = 0] = shape;
  if (shape.length !== 2 || elementCount(scales.shape) !== (byRow ? rows : columns)) {
    throw new UserError(`${scales.origin}: these are not the scales of "${name}"; get it again.`);
  }
  const readInto = async (target: Float32Array, start?: number): Promise<void> => {
    const first = start ?? 0;
    if (
      start === undefined
        ? target.length !== rows * columns
        : first + target.length > rows * columns
    ) {
      throw new UserError(
        `${origin}: the tensor has ${rows * columns} elements where ${first + target.length} were expected; the checkpoint belongs to another model.`,
      );
    }
    const factors = new Float32Array(elementCount(scales.shape));
    await scales.readInto(factors);
    const bytes = new Uint8Array(target.length);
    await place.source((reader) => reader.read(place.offset + first, bytes));
    dequantize(bytes, first, columns, factors, byRow, target);
  };
  return { origin, dtype: source.dtype, shape, readInto, place, scalePlace };
}
