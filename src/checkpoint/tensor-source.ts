import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { type ByteReader, type ByteSource } from './byte-source.js';
import { brainToFloat, halfToFloat } from './floats.js';

/** One tensor of a checkpoint, still in its file. */
export interface TensorSource {
  /** Where it comes from, for messages: the file and the name it has there. */
  readonly origin: string;
  /** The element type under safetensors' name (`F32`, `F16`, `BF16`, `BOOL`, …). */
  readonly dtype: string;
  readonly shape: readonly number[];
  /**
   * Copies consecutive values, in row-major order, into `target` as 32-bit numbers: the whole
   * tensor, or `target.length` values from the one numbered `start`. `target` is often a part of
   * a larger array; 32-bit numbers are read straight into it.
   *
   * @throws UserError where the element type is not F32, F16 or BF16, the file is shorter than it
   *   was, or `target` and the tensor differ in size.
   */
  readonly readInto: (target: Float32Array, start?: number) => Promise<void>;
  /** Where its numbers lie, if they do so in row-major order in a file of their own. */
  readonly place?: FilePlace;
  /** For bytes that are to be scaled, where the scales lie (32-bit numbers). */
  readonly scalePlace?: FilePlace;
}

/** A stretch of bytes of a file. */
export interface FilePlace {
  readonly source: ByteSource;
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** Where a tensor's numbers lie. */
export interface TensorPlace {
  readonly source: ByteSource;
  /** The file and the name that it gives the tensor, for messages. */
  readonly origin: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The byte of the file at which the first element starts. */
  readonly position: number;
  /** The steps from element to element along each dimension; row-major without gaps if absent. */
  readonly strides?: readonly number[];
}

/** The number of elements of a tensor of this shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The strides of a row-major tensor without gaps. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
    strides[dimension] = step;
    step *= at(shape, dimension);
  }
  return strides;
}

/** A tensor that lies in a file at a known place. */
export function storedTensor(place: TensorPlace): TensorSource {
  const { source, origin, dtype, shape } = place;
  const count = elementCount(shape);
  const readInto = async (target: Float32Array, start?: number): Promise<void> => {
    const end = (start ?? 0) + target.length;
    if (start === undefined ? end !== count : end > count) {
      throw new UserError(
        `${origin}: the tensor has ${count} elements where ${end} were expected; the checkpoint belongs to another model.`,
      );
    }
    const type = checkFloatType(origin, dtype);
    await source(async (reader) => {
      if (place.strides === undefined || isRowMajor(shape, place.strides)) {
        await readRun(reader, type, place.position + (start ?? 0) * floatBytes[type], target);
      } else {
        const view = { position: place.position, shape, strides: place.strides };
        await readStrided(reader, type, view, target, start ?? 0);
      }
    });
  };
  return { origin, dtype, shape, readInto };
}

type FloatType = 'F32' | 'F16' | 'BF16';

const floatBytes: Readonly<Record<FloatType, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Whether weights of this element type can be read. */
export function isFloatType(dtype: string): dtype is FloatType {
  return Object.hasOwn(floatBytes, dtype);
}

function checkFloatType(origin: string, dtype: string): FloatType {
  if (isFloatType(dtype)) return dtype;
  throw new UserError(
    `${origin}: weights of type ${dtype} cannot be read; convert the checkpoint to F32, F16 or BF16.`,
  );
}

/** How many 16-bit numbers are read before they are converted. */
const SHORTS_AT_ONCE = 1 << 20;

/** Reads consecutive numbers that start at byte `position`. */
async function readRun(
  reader: ByteReader,
  type: FloatType,
  position: number,
  target: Float32Array,
): Promise<void> {
  if (type === 'F32') {
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    await reader.read(position, bytes);
    return;
  }
  const convert = type === 'F16' ? halfToFloat : brainToFloat;
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  const shorts = new Uint16Array(Math.min(SHORTS_AT_ONCE, target.length));
  for (let start = 0; start < bits.length; start += shorts.length) {
    const part = shorts.subarray(0, bits.length - start);
    await reader.read(position + start * 2, new Uint8Array(part.buffer, 0, part.byteLength));
    convert(part, bits.subarray(start));
  }
}

interface StridedView {
  readonly position: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** Reads a tensor whose elements do not lie in row-major order, such as a transposed matrix. */
async function readStrided(
  reader: ByteReader,
  type: FloatType,
  { position, shape, strides }: StridedView,
  target: Float32Array,
  start: number,
): Promise<void> {
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * at(strides, axis), 0);
  const values = new Float32Array(last + 1);
  await readRun(reader, type, position, values);
  const steps = rowMajorStrides(shape);
  for (let index = 0; index < target.length; index++) {
    let rest = start + index;
    let offset = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      const step = at(steps, axis);
      offset += Math.floor(rest / step) * at(strides, axis);
      rest %= step;
    }
    target[index] = at(values, offset);
  }
}

/** Whether these strides walk the elements in row-major order without gaps. */
function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  const expected = rowMajorStrides(shape);
  return (
    elementCount(shape) === 0 ||
    shape.every((size, dimension) => size === 1 || strides[dimension] === expected[dimension])
  );
}
