import { UserError } from '../base/errors.js';
import { readLines } from '../base/files.js';
import type { Corpus } from './metric.js';

/** The lines of a file of texts, one an instance; Windows line ends are no part of them. */
export async function readTexts(path: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readLines(path)) texts.push(text);
  if (texts.length === 0) throw new UserError(`${path}: the file is empty; give one text a line.`);
  return texts;
}

/** Files of texts that belong together line by line. */
export interface ParallelTexts {
  readonly path: string;
  readonly texts: readonly string[];
}

/**
 * Puts a system's responses beside its references.
 *
 * @throws UserError where there is no reference, or where two files differ in their number of
 *   lines; it names both.
 */
export function pairTexts(hypotheses: ParallelTexts, references: readonly ParallelTexts[]): Corpus {
  if (references.length === 0) {
    throw new UserError('There is no reference; name at least one file of references.');
  }
  for (const file of references) checkLines(hypotheses, file);
  return {
    hypotheses: hypotheses.texts,
    references: hypotheses.texts.map((_, line) => references.map(({ texts }) => texts[line] ?? '')),
  };
}

/** @throws UserError naming both files and their counts, where they differ in length. */
export function checkLines(one: ParallelTexts, other: ParallelTexts): void {
  if (one.texts.length === other.texts.length) return;
  throw new UserError(
    `${one.path} has ${countLines(one.texts.length)} but ${other.path} has ${other.texts.length}; give files with a line for each instance.`,
  );
}

function countLines(count: number): string {
  return count === 1 ? '1 line' : `${count} lines`;
}
