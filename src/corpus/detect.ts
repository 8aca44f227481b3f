import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { UserError, withFileErrors } from '../base/errors.js';

/** As much of a file as its format is told by. */
const HEAD = 1 << 16;

/** The start of a WhatsApp message: a date in brackets or not, and the time. */
const WHATSAPP = /^\u200e?\[?\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4},? \d{1,2}[:.]\d{2}/;

/**
 * Tells what format a file of conversations is in: `tsv` (the original's, and what `data extract`
 * writes), or the name of an importer.
 *
 * @throws UserError where the file cannot be read, or is JSON of no format that we know.
 */
export async function detectFormat(path: string): Promise<string> {
  if (extname(path).toLowerCase() === '.csv') return 'csv';
  const head = (await readHead(path)).replace(/^\uFEFF/, '').trimStart();
  const [line = ''] = head.split(/\r?\n/, 1);
  if (WHATSAPP.test(line)) return 'whatsapp';
  if (!/^[[{]/.test(head) || line.includes('\t')) return 'tsv';
  if (head.includes('"guild"')) return 'discord';
  if (head.includes('"article_url"')) return 'topical-chat';
  // A line longer than what was read is taken for JSONL, whose reader says what is wrong with it.
  if (line.length >= head.length || isJson(line)) return 'jsonl';
  throw new UserError(
    `${path}: this is JSON, but not one conversation a line; turn it into a TSV with \`dialogpt data import\` first.`,
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function readHead(path: string): Promise<string> {
  return withFileErrors(path, async () => {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD), 0, HEAD, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  });
}
