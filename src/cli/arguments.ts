import { InvalidArgumentError } from '@commander-js/extra-typings';
import { UserError } from '../base/errors.js';

export { defined } from '../base/objects.js';

/** Says that flags, each right by itself, do not go together. */
export class UsageError extends UserError {}

/** Reads a flag's value as a whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`Give a whole number of at least ${least}.`);
    }
    return value;
  };
}

/** Reads a flag's value as a number for which `accepts` holds; `what` says which those are. */
export function number(
  what: string,
  accepts: (value: number) => boolean,
): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || !accepts(value)) {
      throw new InvalidArgumentError(`Give ${what}.`);
    }
    return value;
  };
}

/** Reads a flag's value as a number above 0. */
export const positiveNumber = number('a number above 0', (value) => value > 0);

/** Reads `true` or `false`, as the original's flags take them. */
export function truth(text: string): boolean {
  const lower = text.toLowerCase();
  if (lower !== 'true' && lower !== 'false') {
    throw new InvalidArgumentError('Give true or false.');
  }
  return lower === 'true';
}
