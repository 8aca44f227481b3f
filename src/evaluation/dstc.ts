import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { readLines } from '../base/files.js';
import { cleanText } from './clean.js';
import type { Corpus } from './metric.js';
import type { ParallelTexts } from './texts.js';

/** The references of a task, by the key of the conversation they answer. */
export interface KeyedReferences {
  readonly path: string;
  /** As in the file: plain text, or `score|text`. */
  readonly cells: ReadonlyMap<string, readonly string[]>;
}

/** How DSTC-7's script chooses references (the original's dstc/dstc.py). */
export interface DstcOptions {
  /** Which keys are evaluated; by default all. */
  readonly keys?: readonly string[];
  /** References for each response; where there are fewer, they come again from the first. */
  readonly referenceCount: number;
  /**
   * The place, from 0, of the human response that is evaluated itself: where its turn comes, the
   * reference after it stands in. Negative where none is.
   */
  readonly vsHuman: number;
  /** Whether responses and references are cleaned first. */
  readonly clean: boolean;
}

/** Reads keys, one a line; empty lines are left out. */
export async function readKeys(path: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { text } of readLines(path)) if (text.trim() !== '') keys.push(text.trim());
  return keys;
}

/**
 * Reads DSTC-7's file of references: a line has a key and, after tabs, its references.
 *
 * @throws UserError where a line has no reference.
 */
export async function readKeyedReferences(path: string): Promise<KeyedReferences> {
  const cells = new Map<string, readonly string[]>();
  for await (const { text, number } of readLines(path)) {
    if (text === '') continue;
    const [key = '', ...references] = text.split('\t');
    if (references.length === 0) {
      throw new UserError(
        `${path}, line ${number}: there is no reference after the key; separate them with a tab.`,
      );
    }
    cells.set(key, references);
  }
  return { path, cells };
}

/**
 * Puts a system's responses beside DSTC-7's references (`extract_hyp_refs`), in the order of
 * their keys.
 *
 * @param responses A line for each of `lineKeys`.
 * @param lineKeys The key of each line of the responses.
 * @throws UserError where the counts differ or a key has no references.
 */
export function dstcCorpus(
  responses: ParallelTexts,
  lineKeys: ParallelTexts,
  references: KeyedReferences,
  options: DstcOptions,
): Corpus {
  if (responses.texts.length !== lineKeys.texts.length) {
    throw new UserError(
      `${responses.path} has ${responses.texts.length} lines but ${lineKeys.path} has ${lineKeys.texts.length} keys; give a response for each key.`,
    );
  }
  const wanted = options.keys === undefined ? undefined : new Set(options.keys);
  const byKey = new Map<string, string>();
  lineKeys.texts.forEach((key, line) => {
    if (wanted?.has(key) !== false) byKey.set(key, responses.texts[line] ?? '');
  });
  if (byKey.size === 0) {
    throw new UserError(
      `${lineKeys.path}: none of its keys is to be evaluated; check that the files of keys belong together.`,
    );
  }
  const finish = options.clean ? cleanText : (text: string): string => text;
  const keys = [...byKey.keys()].sort();
  return {
    hypotheses: keys.map((key) => finish(byKey.get(key) ?? '')),
    references: keys.map((key) => {
      const cells = references.cells.get(key);
      if (cells === undefined) {
        throw new UserError(
          `${references.path}: there is no reference for the key ${key}; check the file.`,
        );
      }
      return chooseReferences(cells, options).map((cell) => finish(textOf(cell)));
    }),
  };
}

/** The references of one instance that count, in turn. */
export function chooseReferences(
  cells: readonly string[],
  { referenceCount, vsHuman }: Pick<DstcOptions, 'referenceCount' | 'vsHuman'>,
): string[] {
  return Array.from({ length: referenceCount }, (_, turn) => {
    const place = turn % cells.length;
    return at(cells, place === vsHuman ? (place + 1) % cells.length : place);
  });
}

/** A cell without the score in front of it. */
function textOf(cell: string): string {
  return cell.includes('|') ? (cell.split('|')[1] ?? '') : cell;
}

/** The place of the human response among DSTC-7's references, from 0. */
export const HUMAN_RESPONSE = 1;

/**
 * The human responses to `keys`, in their order (the original's dstc/extract_human.py).
 *
 * @throws UserError where a key has none.
 */
export function humanResponses(references: KeyedReferences, keys: readonly string[]): string[] {
  return keys.map((key) => {
    const response = references.cells.get(key)?.[HUMAN_RESPONSE];
    if (response === undefined) {
      throw new UserError(
        `${references.path}: there is no human response (second reference) for the key ${key}; check the files.`,
      );
    }
    return textOf(response);
  });
}
