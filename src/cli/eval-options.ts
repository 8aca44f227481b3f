import { InvalidArgumentError } from '@commander-js/extra-typings';

/** Reads a whole number of at least `least` from the command line. */
export function wholeNumber(flag: string, least: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^-?\d+$/.test(text) || number < least) {
      throw new InvalidArgumentError(`${flag} takes a whole number of ${least} or more.`);
    }
    return number;
  };
}
