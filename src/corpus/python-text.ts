/**
 * What Python's `str` methods do, where JavaScript's do something else. The original's output
 * depends on them: U+0085 and U+001C-U+001F are white space to Python but not to JavaScript,
 * U+FEFF the other way round.
 */

/** Python's white space (`str.isspace`), as the inside of a character class. */
const WHITE_SPACE =
  '\\t-\\r\\u001C-\\u0020\\u0085\\u00A0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000';
const WORDS = new RegExp(`[^${WHITE_SPACE}]+`, 'g');
const SPACES = new RegExp(`[${WHITE_SPACE}]+`, 'g');
const START = new RegExp(`^[${WHITE_SPACE}]+`);
const LAST_VISIBLE = new RegExp(`[^${WHITE_SPACE}]`);

/** Python's `text.split()`: the words between runs of white space, none of them empty. */
export function pythonSplit(text: string): string[] {
  return text.match(WORDS) ?? [];
}

/** Python's `text.rstrip()`. */
export function pythonTrimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && !LAST_VISIBLE.test(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

/** Python's `text.strip()`. */
export function pythonTrim(text: string): string {
  return pythonTrimEnd(text).replace(START, '');
}

/** Python's `' '.join(text.split())`: runs of white space become one space, ends are trimmed. */
export function collapseSpaces(text: string): string {
  return pythonTrim(text).replace(SPACES, ' ');
}

const FLOAT =
  /^[+-]?(?:(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?|inf(?:inity)?|nan)$/i;

/**
 * Python's `float(text)` for a text without white space, or `undefined` where Python raises
 * ValueError. Takes underscores between digits, digits of every script, `inf` and `nan`.
 */
export function pythonFloat(text: string): number | undefined {
  const plain = text.replace(/\p{Nd}/gu, digitValue);
  if (!FLOAT.test(plain)) return undefined;
  const lower = plain.toLowerCase().replaceAll('_', '');
  if (lower.endsWith('nan')) return NaN;
  if (lower.includes('inf')) return lower.startsWith('-') ? -Infinity : Infinity;
  return Number(lower);
}

/** The ASCII digit that a decimal digit of any script stands for. */
function digitValue(digit: string): string {
  if (digit.charCodeAt(0) < 0x80) return digit;
  // Unicode encodes decimal digits in runs of ten, from zero to nine.
  const code = digit.codePointAt(0) ?? 0;
  let start = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--;
  return String((code - start) % 10);
}

/** Python's `int(value)` of a JSON value, or `undefined` where Python raises an error. */
export function pythonInt(value: unknown): number | undefined {
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value === 'boolean') return Number(value);
  if (typeof value !== 'string') return undefined;
  const digits = pythonTrim(value);
  return /^[+-]?\d+(?:_\d+)*$/.test(digits) ? Number(digits.replaceAll('_', '')) : undefined;
}

/** Python's `str(value)` of a JSON value that is no list or object. */
export function pythonStr(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return JSON.stringify(value);
}
