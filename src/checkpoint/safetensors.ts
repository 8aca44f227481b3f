import { type FileHandle } from 'node:fs/promises';
import { writeAll, writeFileWhole } from '../base/files.js';
import { fileSource } from './file-source.js';
import { floatToHalf } from './floats.js';
import {
  encodeHeader,
  readHeader,
  safetensorsFrom,
  type SafetensorsHeader,
} from './safetensors-format.js';
import { elementCount, type TensorSource } from './tensor-source.js';

/**
 * Reads and checks the header of a safetensors file; see {@link readHeader}.
 *
 * @throws UserError naming the file and the tensor or byte that is wrong.
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  return fileSource(path)(readHeader);
}

/**
 * The tensors of a safetensors file under their names; nothing but the header is read until
 * {@link TensorSource.readInto} is called.
 *
 * @throws UserError as {@link readSafetensorsHeader}.
 */
export function openSafetensors(path: string): Promise<Map<string, TensorSource>> {
  return safetensorsFrom(fileSource(path));
}

/** A tensor to be written: `data` holds the product of `shape` numbers in row-major order. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array;
}

/**
 * Writes a safetensors file, whole or not at all, streaming the tensors' data from where it lies.
 * The layout is the reference implementation's, byte for byte: tensors of larger elements first,
 * then in the order of their names, the header padded with spaces to a multiple of eight bytes.
 *
 * @param dtype what 32-bit numbers are written as; halves are rounded to the nearest, ties to even.
 *   Bytes stay bytes.
 * @param metadata further texts for the header
 * @throws UserError where two tensors have one name, or the file cannot be written.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly NamedTensor[],
  dtype: 'F32' | 'F16' = 'F32',
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const sorted = [...tensors].sort(
    (one, other) =>
      other.data.BYTES_PER_ELEMENT - one.data.BYTES_PER_ELEMENT ||
      Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)),
  );
  const entries = sorted.map(({ name, shape, data }) => {
    if (data.length !== elementCount(shape)) {
      throw new RangeError(`"${name}": ${data.length} numbers for shape [${shape.join(', ')}].`);
    }
    return { name, shape, dtype: data instanceof Uint8Array ? 'U8' : dtype };
  });
  const header = encodeHeader(path, entries, metadata);
  await writeFileWhole(path, async (file) => {
    await writeAll(file, header);
    for (const { data } of sorted) {
      if (dtype === 'F16' && data instanceof Float32Array) await writeHalves(file, data);
      else await writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  });
}

async function writeHalves(file: FileHandle, data: Float32Array): Promise<void> {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const piece = new Uint16Array(Math.min(1 << 20, data.length));
  for (let start = 0; start < bits.length; start += piece.length) {
    const part = bits.subarray(start, start + piece.length);
    floatToHalf(part, piece);
    await writeAll(file, new Uint8Array(piece.buffer, 0, part.length * 2));
  }
}
