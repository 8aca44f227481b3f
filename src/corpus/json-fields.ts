/**
 * Reads a few fields of a JSON object without making the rest of it, several times as fast as
 * `JSON.parse`. What is not plainly valid JSON is left to `JSON.parse`, so that it alone decides
 * what is JSON and what is not.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A line of JSON as bytes (UTF-8) and as text. */
export interface JsonLine {
  readonly bytes: Uint8Array;
  /** Only asked for where a field is there; positions are those of the bytes. */
  readonly text: (start: number, end: number) => string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads the fields named in `wanted`. */
export class FieldReader {
  readonly #wanted: readonly { readonly name: string; readonly bytes: Uint8Array }[];

  constructor(wanted: readonly string[]) {
    this.#wanted = wanted.map((name) => ({ name, bytes: Buffer.from(name) }));
  }

  /**
   * The wanted fields of the JSON object in `line`; other fields may or may not be there. Nothing
   * where the line is not a JSON object.
   */
  read(line: JsonLine): Fields | undefined {
    return this.#scan(line) ?? parseObject(line.text(0, line.bytes.length));
  }

  /**
   * The wanted fields of an object without white space between its tokens (as dumps are written),
   * or with one space after `:` and `,`; nothing where anything is out of the ordinary.
   */
  #scan({ bytes, text }: JsonLine): Fields | undefined {
    const last = bytes.length - 1;
    if (byteAt(bytes, 0) !== 0x7b || byteAt(bytes, last) !== 0x7d) return undefined;
    const fields: Record<string, unknown> = {};
    let position = 1;
    for (;;) {
      const keyEnd = skipString(bytes, position);
      if (keyEnd < 0 || byteAt(bytes, keyEnd) !== 0x3a) return undefined;
      const key = this.#find(bytes, position + 1, keyEnd - 1);
      const start = byteAt(bytes, keyEnd + 1) === 0x20 ? keyEnd + 2 : keyEnd + 1;
      const end = skipValue(bytes, start, 0);
      if (end < 0 || key === ESCAPED) return undefined;
      if (key !== OTHER) fields[key] = valueOf(text(start, end));
      if (end === last) return fields;
      if (byteAt(bytes, end) !== 0x2c) return undefined;
      position = byteAt(bytes, end + 1) === 0x20 ? end + 2 : end + 1;
    }
  }

  /** Which wanted field a key is. */
  #find(bytes: Uint8Array, start: number, end: number): string {
    for (const { name, bytes: wanted } of this.#wanted) {
      if (wanted.length !== end - start) continue;
      let index = 0;
      while (index < wanted.length && bytes[start + index] === wanted[index]) index++;
      if (index === wanted.length) return name;
    }
    for (let index = start; index < end; index++) if (bytes[index] === BACKSLASH) return ESCAPED;
    return OTHER;
  }
}

/** Keys that are not wanted, and keys that may be, once their escapes are read. */
const OTHER = '';
const ESCAPED = '\\';

/** A string without escapes is its own value; JSON.parse reads the rest. */
function valueOf(text: string): unknown {
  return text.charCodeAt(0) === QUOTE && !text.includes('\\')
    ? text.slice(1, -1)
    : JSON.parse(text);
}

function parseObject(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

/** A byte; 0, which JSON never has, beyond the end. */
function byteAt(bytes: Uint8Array, position: number): number {
  return bytes[position] ?? 0;
}

const NULL = Buffer.from('null');
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');

function startsWith(line: Uint8Array, start: number, word: Uint8Array): number {
  for (let index = 0; index < word.length; index++) {
    if (line[start + index] !== word[index]) return -1;
  }
  return start + word.length;
}

/** The deepest nesting followed here. */
const DEEPEST = 16;

/** The position after the value at `start`, or −1 where it is out of the ordinary. */
function skipValue(line: Uint8Array, start: number, depth: number): number {
  switch (byteAt(line, start)) {
    case QUOTE:
      return skipString(line, start);
    case 0x6e:
      return startsWith(line, start, NULL);
    case 0x74:
      return startsWith(line, start, TRUE);
    case 0x66:
      return startsWith(line, start, FALSE);
    case 0x5b:
      return depth < DEEPEST ? skipList(line, start, depth, 0x5d) : -1;
    case 0x7b:
      return depth < DEEPEST ? skipList(line, start, depth, 0x7d) : -1;
    default:
      return skipNumber(line, start);
  }
}

/** The position after the string that starts at `start`, or −1. */
function skipString(line: Uint8Array, start: number): number {
  if (byteAt(line, start) !== QUOTE) return -1;
  let position = start + 1;
  for (;;) {
    let code = byteAt(line, position);
    while (code > QUOTE && code !== BACKSLASH) code = byteAt(line, ++position);
    if (code === QUOTE) return position + 1;
    if (code === BACKSLASH) {
      position = skipEscape(line, position + 1);
      if (position < 0) return -1;
    } else if (code < 0x20) {
      return -1;
    }
    position++;
  }
}

/** The position of the last character of the escape whose letter is at `position`, or −1. */
function skipEscape(line: Uint8Array, position: number): number {
  switch (byteAt(line, position)) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return position;
    case 0x75: {
      for (let digit = position + 1; digit <= position + 4; digit++) {
        const code = byteAt(line, digit) | 0x20;
        const isHexadecimal = (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
        if (!isHexadecimal || digit >= line.length) return -1;
      }
      return position + 4;
    }
    default:
      return -1;
  }
}

/** The position after a number with neither leading zeros nor an exponent, or −1. */
function skipNumber(line: Uint8Array, start: number): number {
  let position = byteAt(line, start) === 0x2d ? start + 1 : start;
  const first = position;
  position = skipDigits(line, position);
  if (position === first) return -1;
  if (byteAt(line, first) === 0x30 && position > first + 1) return -1;
  if (byteAt(line, position) !== 0x2e) return position;
  const end = skipDigits(line, position + 1);
  return end > position + 1 ? end : -1;
}

function skipDigits(line: Uint8Array, start: number): number {
  let position = start;
  for (; ; position++) {
    const code = byteAt(line, position);
    if (!(code >= 0x30 && code <= 0x39)) return position;
  }
}

/** The position after a list or object that starts at `start` and ends with `close`, or −1. */
function skipList(line: Uint8Array, start: number, depth: number, close: number): number {
  let position = start + 1;
  if (byteAt(line, position) === close) return position + 1;
  for (;;) {
    if (close === 0x7d) {
      position = skipString(line, position);
      if (position < 0 || byteAt(line, position) !== 0x3a) return -1;
      position += byteAt(line, position + 1) === 0x20 ? 2 : 1;
    }
    position = skipValue(line, position, depth + 1);
    if (position < 0) return -1;
    const code = byteAt(line, position);
    if (code === close) return position + 1;
    if (code !== 0x2c) return -1;
    position += byteAt(line, position + 1) === 0x20 ? 2 : 1;
  }
}
