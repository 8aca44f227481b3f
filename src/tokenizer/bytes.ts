/**
 * GPT-2's way to write bytes as text: every byte is one printable character, so that vocabulary
 * files are readable. Printable Latin-1 characters stand for themselves and the other bytes, in
 * order, for the characters from U+0100 on (openai/gpt-2, `encoder.py`, `bytes_to_unicode`).
 */
const characters: readonly string[] = (() => {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : next++),
  );
})();

const byteOfCharacter = new Map(characters.map((character, byte) => [character, byte]));

/** The 256 bytes in the order of GPT-2's vocabulary: printable ones first. */
export const bytesInVocabularyOrder: readonly number[] = [...characters.keys()].sort((a, b) => {
  const [first, second] = [characters[a]?.codePointAt(0) ?? 0, characters[b]?.codePointAt(0) ?? 0];
  return first - second;
});

/** Bytes as GPT-2's vocabulary files write them. */
export function bytesToText(bytes: Iterable<number>): string {
  let text = '';
  for (const byte of bytes) text += characters[byte] ?? '';
  return text;
}

/** The bytes of a token as GPT-2's vocabulary files write it; undefined if it is not written so. */
export function textToBytes(text: string): number[] | undefined {
  const bytes: number[] = [];
  for (const character of text) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  return bytes;
}
