import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { UserError, withFileErrors } from '../base/errors.js';
import { checksumLike } from './hub-download.js';
import { elementCount, isFloatType } from './tensor-source.js';
import { openWeights } from './weights.js';

/** How many numbers are looked at together. */
const NUMBERS_AT_ONCE = 1 << 20;

/** What {@link verifyModel} could check of a file of weights, besides its form. */
export interface VerifiedFile {
  readonly path: string;
  /** Whether the hub's checksum is known, as for files of the cache, and was the file's. */
  readonly checksum: boolean;
}

/**
 * Reads all weights of a model: each file that the cache holds must have the checksum that the hub
 * gave, and every number must be finite. A flipped bit in a file from elsewhere shows only where
 * it makes a number infinite.
 *
 * @throws UserError naming the file, or the tensor, that is damaged.
 */
export async function verifyModel(path: string): Promise<readonly VerifiedFile[]> {
  const { tensors, files } = await openWeights(path);
  const verified: VerifiedFile[] = [];
  for (const file of files) {
    verified.push({ path: file, checksum: await hasChecksum(file) });
  }
  for (const [name, { dtype, shape, readInto }] of tensors) {
    if (!isFloatType(dtype)) continue;
    const count = elementCount(shape);
    for (let start = 0; start < count; start += NUMBERS_AT_ONCE) {
      const numbers = new Float32Array(Math.min(NUMBERS_AT_ONCE, count - start));
      await readInto(numbers, start);
      if (numbers.every((number) => Number.isFinite(number))) continue;
      throw new UserError(
        `${path}: tensor "${name}" holds a number that is not finite; the file is damaged or its training failed, so get it again.`,
      );
    }
  }
  return verified;
}

/** @throws UserError where a file of the cache has another checksum than its name says. */
async function hasChecksum(file: string): Promise<boolean> {
  const blob = await withFileErrors(file, () => realpath(file));
  const checksum = basename(blob);
  const isBlob = basename(dirname(blob)) === 'blobs' && /^(?:\w{40}|\w{64})$/.test(checksum);
  if (!isBlob) return false;
  const actual = await withFileErrors(file, () => checksumLike(checksum, blob));
  if (actual === checksum) return true;
  throw new UserError(
    `${file}: its checksum is ${actual} instead of ${checksum}; the file is damaged, so remove ${blob} and run the command again to download it.`,
  );
}
