import { UserError } from '../base/errors.js';
import { range } from '../base/arrays.js';

const MONTH = /^(\d{4})-(0[1-9]|1[0-2])$/;

/**
 * Months from what a person wrote: `2018-03`, or `2018-03..2019-01` for all from one to the
 * other; each once, in order.
 *
 * @throws UserError for anything else.
 */
export function parseMonths(texts: readonly string[]): string[] {
  const numbers = texts.flatMap((text) => {
    const [first, last = first] = text.split('..').map(monthNumber);
    if (first === undefined || last === undefined || last < first) {
      throw new UserError(`"${text}" is no month: write 2018-03, or 2018-03..2019-01 for several.`);
    }
    return range(first, last + 1);
  });
  return [...new Set(numbers)].sort((a, b) => a - b).map(monthName);
}

function monthNumber(text: string): number | undefined {
  const found = MONTH.exec(text);
  return found === null ? undefined : Number(found[1]) * 12 + Number(found[2]) - 1;
}

function monthName(number: number): string {
  const year = String(Math.floor(number / 12)).padStart(4, '0');
  return `${year}-${String((number % 12) + 1).padStart(2, '0')}`;
}
