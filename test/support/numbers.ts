import assert from 'node:assert/strict';
import { at, type Indexed } from '../../src/base/arrays.js';

/** The largest difference of two lists, relative to the largest number of the second. */
export function relativeError(actual: Indexed<number>, expected: Indexed<number>): number {
  assert.equal(actual.length, expected.length);
  let difference = 0;
  let largest = 0;
  for (let index = 0; index < expected.length; index++) {
    const here = Math.abs(at(actual, index) - at(expected, index));
    // Written so that NaN is never small.
    if (!(here <= difference)) difference = here;
    largest = Math.max(largest, Math.abs(at(expected, index)));
  }
  return largest === 0 ? difference : difference / largest;
}

/** Fails unless two lists differ by no more than `tolerance` of the largest expected number. */
export function assertClose(
  actual: Indexed<number>,
  expected: Indexed<number>,
  tolerance: number,
  message = '',
): void {
  const error = relativeError(actual, expected);
  assert.ok(error <= tolerance, `${message}: relative error ${error} is more than ${tolerance}`);
}
