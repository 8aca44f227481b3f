import { type FileHandle, open } from 'node:fs/promises';
import { at } from '../base/arrays.js';
import { UserError, withFileErrors } from '../base/errors.js';
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
  readInto(target: Float32Array, start?: number): Promise<void>;
}

/** Where a tensor's numbers lie in a file. */
export interface TensorPlace {
  readonly path: string;
  /** The name that the file gives the tensor. */
  readonly name: string;
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
  const { path, name, dtype, shape } = place;
  const origin = `${path}: tensor "${name}"`;
  const count = elementCount(shape);
  const readInto = async (target: Float32Array, start?: number): Promise<void> => {
    const end = (start ?? 0) + target.length;
    if (start === undefined ? end !== count : end > count) {
      throw new UserError(
        `${origin}: the tensor has ${count} elements where ${end} were expected; the checkpoint belongs to another model.`,
      );
    }
    const type = checkFloatType(origin, dtype);
    await withFileErrors(path, async () => {
      const file = await open(path);
      try {
        const reader = { file, path, dtype: type };
        if (place.strides === undefined || isRowMajor(shape, place.strides)) {
          await readRun(reader, place.position + (start ?? 0) * floatBytes[type], target);
        } else {
          await readStrided(reader, place.position, shape, place.strides, target, start ?? 0);
        }
      } finally {
        await file.close();
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

/** The most bytes asked for in one read. */
const LARGEST_READ = 1 << 26;
/** How many 16-bit numbers are read before they are converted. */
const SHORTS_AT_ONCE = 1 << 20;

/**
 * Fills `bytes` from `file`, starting at byte `position` of it.
 *
 * @throws UserError where the file ends before.
 */
export async function readExactly(
  file: FileHandle,
  path: string,
  position: number,
  bytes: Uint8Array,
): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const length = Math.min(LARGEST_READ, bytes.byteLength - done);
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) {
      throw new UserError(
        `${path}: the file ends at byte ${position + done}, before byte ${position + bytes.byteLength}; it is cut short, so get it again.`,
      );
    }
    done += bytesRead;
  }
}

interface FloatReader {
  readonly file: FileHandle;
  readonly path: string;
  readonly dtype: FloatType;
}

/** Reads consecutive numbers that start at byte `position`. */
async function readRun(
  { file, path, dtype }: FloatReader,
  position: number,
  target: Float32Array,
): Promise<void> {
  if (dtype === 'F32') {
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    await readExactly(file, path, position, bytes);
    return;
  }
  const convert = dtype === 'F16' ? halfToFloat : brainToFloat;
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  const shorts = new Uint16Array(Math.min(SHORTS_AT_ONCE, target.length));
  for (let start = 0; start < bits.length; start += shorts.length) {
    const part = shorts.subarray(0, bits.length - start);
    await readExactly(
      file,
      path,
      position + start * 2,
      new Uint8Array(part.buffer, 0, part.byteLength),
    );
    convert(part, bits.subarray(start));
  }
}

/** Reads a tensor whose elements do not lie in row-major order, such as a transposed matrix. */
async function readStrided(
  reader: FloatReader,
  position: number,
  shape: readonly number[],
  strides: readonly number[],
  target: Float32Array,
  start: number,
): Promise<void> {
  if (target.length === 0) return;
  const last = shape.reduce((sum, size, dimension) => sum + (size - 1) * at(strides, dimension), 0);
  const values = new Float32Array(last + 1);
  await readRun(reader, position, values);
  const steps = rowMajorStrides(shape);
  for (let index = 0; index < target.length; index++) {
    let rest = start + index;
    let offset = 0;
    for (let dimension = 0; dimension < shape.length; dimension++) {
      const step = at(steps, dimension);
      offset += Math.floor(rest / step) * at(strides, dimension);
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
