import type { Line } from '../base/files.js';
import { readDecompressed } from './decompress.js';

/** The lines of a UTF-8 text file that may be compressed, without their line ends. */
export async function* readTextLines(path: string): AsyncGenerator<Line, void, undefined> {
  const decoder = new TextDecoder();
  let pending = '';
  let number = 0;
  const line = (text: string): Line => ({
    text: text.endsWith('\r') ? text.slice(0, -1) : text,
    number: ++number,
  });
  for await (const piece of readDecompressed(path)) {
    const lines = (pending + decoder.decode(piece, { stream: true })).split('\n');
    pending = lines.pop() ?? '';
    for (const text of lines) yield line(text);
  }
  if (pending !== '') yield line(pending);
}
