/** Anything read by number: arrays and typed arrays. */
export interface Indexed<T> {
  readonly length: number;
  readonly [index: number]: T;
}

/**
 * `array[index]`, checked.
 *
 * @throws RangeError where there is no such element.
 */
export function at<T>(array: Indexed<T>, index: number): T {
  const element = array[index];
  if (element === undefined) {
    throw new RangeError(`Index ${index} is outside an array of ${array.length} elements.`);
  }
  return element;
}

/** The sum of the numbers of an array or typed array, in order. */
export function sum(numbers: Indexed<number>): number {
  let total = 0;
  for (let index = 0; index < numbers.length; index++) total += at(numbers, index);
  return total;
}

/** Whole numbers from `start` (included) to `end` (excluded). */
export function range(start: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, offset) => start + offset);
}
