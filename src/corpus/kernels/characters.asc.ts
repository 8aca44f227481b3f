// AssemblyScript: what the kernels of the extraction know about characters.

export function isDigit(byte: u8): bool {
  return byte - 0x30 < 10;
}

export function isLetter(byte: u8): bool {
  return (byte | 0x20) - 0x61 < 26;
}

/** Makes the memory reach at least `end`. */
export function makeRoom(end: usize): void {
  const pages = <i32>((end + 0xffff) >>> 16) - memory.size();
  if (pages > 0) memory.grow(pages);
}

/** Writes a character as UTF-8 and returns the position after it. */
export function writeCharacter(to: usize, code: u32): usize {
  if (code < 0x80) {
    store<u8>(to, code);
    return to + 1;
  }
  if (code < 0x800) {
    store<u8>(to, 0xc0 | (code >> 6));
    store<u8>(to + 1, 0x80 | (code & 0x3f));
    return to + 2;
  }
  if (code < 0x10000) {
    store<u8>(to, 0xe0 | (code >> 12));
    store<u8>(to + 1, 0x80 | ((code >> 6) & 0x3f));
    store<u8>(to + 2, 0x80 | (code & 0x3f));
    return to + 3;
  }
  store<u8>(to, 0xf0 | (code >> 18));
  store<u8>(to + 1, 0x80 | ((code >> 12) & 0x3f));
  store<u8>(to + 2, 0x80 | ((code >> 6) & 0x3f));
  store<u8>(to + 3, 0x80 | (code & 0x3f));
  return to + 4;
}

/** Python's white space (`str.isspace`). */
export function isSpace(code: u32): bool {
  if (code < 0x80) return code == 0x20 || (code >= 9 && code <= 13) || (code >= 28 && code <= 31);
  if (code < 0x1680) return code == 0x85 || code == 0xa0;
  if (code >= 0x2000 && code <= 0x200a) return true;
  return (
    code == 0x1680 ||
    code == 0x2028 ||
    code == 0x2029 ||
    code == 0x202f ||
    code == 0x205f ||
    code == 0x3000
  );
}
