import { type FileHandle, open } from 'node:fs/promises';
import { UserError, withFileErrors } from '../base/errors.js';
import { brainToFloat, halfToFloat } from './floats.js';

/** The element types that weights are read from: 32-bit, half precision and bfloat16. */
export type FloatType = 'F32' | 'F16' | 'BF16';

/** How many bytes one element of each {@link FloatType} takes. */
export const floatBytes: Readonly<Record<FloatType, number>> = { F32: 4, F16: 2, BF16: 2 };

/** One tensor of a checkpoint, still in its file. */
export interface TensorSource {
  /** Where it comes from, for messages: the file and the name it has there. */
  readonly origin: string;
  /** The element type under safetensors' name (`F32`, `F16`, `BF16`, `BOOL`, …). */
  readonly dtype: string;
  readonly shape: readonly number[];
  /**
   * Copies the values into `target` as 32-bit numbers, in row-major order, with no more memory
   * beside it than a small buffer. `target` is often a part of a larger array.
   *
   * @throws UserError where the element type is not one of {@link FloatType}, the file is
   *   shorter than it was, or `target` does not have as many elements as the tensor.
   */
  readInto(target: Float32Array): Promise<void>;
}

/** The number of elements of a tensor of this shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Whether this is an element type that {@link readFloats} reads. */
export function isFloatType(dtype: string): dtype is FloatType {
  return dtype in floatBytes;
}

/** How many bytes are asked for in one read; 16-bit numbers are converted in pieces of this size. */
const PIECE = 1 << 22;

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
    const length = Math.min(PIECE * 16, bytes.byteLength - done);
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) {
      throw new UserError(
        `${path}: the file ends at byte ${position + done}, before byte ${position + bytes.byteLength}; it is cut short, so get it again.`,
      );
    }
    done += bytesRead;
  }
}

/**
 * Reads `target.length` consecutive numbers of type `dtype` that start at byte `position` of the
 * file at `path`. 32-bit numbers are read straight into `target`.
 */
export async function readFloats(
  path: string,
  position: number,
  dtype: FloatType,
  target: Float32Array,
): Promise<void> {
  await withFileErrors(path, async () => {
    const file = await open(path);
    try {
      if (dtype === 'F32') {
        const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
        await readExactly(file, path, position, bytes);
      } else {
        await readShortFloats(file, path, position, dtype, target);
      }
    } finally {
      await file.close();
    }
  });
}

async function readShortFloats(
  file: FileHandle,
  path: string,
  position: number,
  dtype: 'F16' | 'BF16',
  target: Float32Array,
): Promise<void> {
  const convert = dtype === 'F16' ? halfToFloat : brainToFloat;
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  const piece = new Uint16Array(Math.min(PIECE / 2, target.length));
  for (let start = 0; start < bits.length; start += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, bits.length - start));
    const bytes = new Uint8Array(part.buffer, 0, part.byteLength);
    await readExactly(file, path, position + start * 2, bytes);
    convert(part, bits.subarray(start, start + part.length));
  }
}

/** @throws UserError where `target` cannot take a tensor with `count` elements. */
export function checkTarget(origin: string, count: number, target: Float32Array): void {
  if (target.length !== count) {
    throw new UserError(
      `${origin}: the tensor has ${count} elements, but ${target.length} were expected; the checkpoint belongs to another model.`,
    );
  }
}

/** @throws UserError where weights cannot be read from this element type. */
export function checkFloatType(origin: string, dtype: string): FloatType {
  if (isFloatType(dtype)) return dtype;
  throw new UserError(
    `${origin}: weights of type ${dtype} cannot be read; convert the checkpoint to F32, F16 or BF16.`,
  );
}
