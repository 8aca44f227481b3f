import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { bytesToText, textToBytes } from './bytes.js';

/** The token that ends every turn and every text. */
export const END_OF_TEXT = '<|endoftext|>';

/**
 * The tokens of a byte-level byte-pair encoding, as lists of bytes. A token's place is its id, and
 * of two merges the one that makes the lower id goes first. The end-of-text token comes last.
 */
export interface Vocabulary {
  readonly tokens: readonly (readonly number[])[];
}

/** A token's bytes as a key of a map. */
function keyOf(bytes: readonly number[]): string {
  return String.fromCharCode(...bytes);
}

/**
 * The merges behind a vocabulary, as `merges.txt` lists them: for each token of more than one byte
 * the two tokens that it is made of, which are what remains when all earlier merges are applied
 * to its bytes.
 */
export function mergesOf({ tokens }: Vocabulary): readonly (readonly [string, string])[] {
  const rankOf = new Map(tokens.map((bytes, rank) => [keyOf(bytes), rank]));
  return tokens.flatMap((bytes, rank): (readonly [string, string])[] => {
    if (bytes.length === 1) return [];
    let parts = bytes.map((byte) => [byte]);
    while (parts.length > 2) {
      let best = { rank, place: -1 };
      for (let place = 0; place + 1 < parts.length; place++) {
        const joined = rankOf.get(keyOf([...(parts[place] ?? []), ...(parts[place + 1] ?? [])]));
        if (joined !== undefined && joined < best.rank) best = { rank: joined, place };
      }
      if (best.place < 0) throw new Error(`Token ${rank} is not made of two earlier tokens.`);
      parts = parts.toSpliced(best.place, 2, [
        ...(parts[best.place] ?? []),
        ...(parts[best.place + 1] ?? []),
      ]);
    }
    return [[bytesToText(parts[0] ?? []), bytesToText(parts[1] ?? [])]];
  });
}

/** The text of `vocab.json`: the id of each token, `<|endoftext|>` among them. */
export function vocabularyJson(vocabulary: Vocabulary): string {
  const entries = vocabulary.tokens.map((bytes, id) => [bytesToText(bytes), id] as const);
  return asciiJson(new Map([...entries, [END_OF_TEXT, entries.length] as const]));
}

/** The text of `merges.txt`. */
export function mergesText(vocabulary: Vocabulary): string {
  const merges = mergesOf(vocabulary).map(([left, right]) => `${left} ${right}\n`);
  return `#version: 0.2\n${merges.join('')}`;
}

/** Token ids as JSON in the form of GPT-2's own file: ASCII only, a space after `:` and `,`. */
function asciiJson(ids: ReadonlyMap<string, number>): string {
  const escaped = (token: string) =>
    JSON.stringify(token).replace(
      /[\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  return `{${[...ids].map(([token, id]) => `${escaped(token)}: ${id}`).join(', ')}}`;
}

const idsSchema = z.record(z.string(), z.number().int().nonnegative());

/**
 * The vocabulary that `vocab.json` and `merges.txt` hold.
 *
 * @param ids what is in `vocab.json`
 * @param merges the text of `merges.txt`
 * @param names what the two files are called, for messages
 * @throws UserError where they are damaged, do not belong together, or are not GPT-2's kind.
 */
export function parseVocabulary(
  ids: unknown,
  merges: string,
  names: { readonly vocabulary: string; readonly merges: string },
): Vocabulary {
  const path = names.vocabulary;
  const parsed = idsSchema.safeParse(ids);
  if (!parsed.success) throw new UserError(`${path}: this is not a list of tokens with their ids.`);
  const tokens: (readonly number[])[] = [];
  const count = Object.keys(parsed.data).length;
  if (parsed.data[END_OF_TEXT] !== count - 1) {
    throw new UserError(`${path}: ${END_OF_TEXT} must be the last of its ${count} tokens.`);
  }
  for (const [token, id] of Object.entries(parsed.data)) {
    if (token === END_OF_TEXT) continue;
    const bytes = textToBytes(token);
    if (bytes === undefined || id >= count - 1 || tokens[id] !== undefined) {
      throw new UserError(
        `${path}: the token "${token}" (id ${id}) is not one of a byte-level vocabulary.`,
      );
    }
    tokens[id] = bytes;
  }
  const vocabulary = { tokens };
  checkMerges(names.merges, merges, vocabulary);
  return vocabulary;
}

/**
 * The encoder needs no merges beside the ids, as long as both are in the same order and each merge
 * joins two earlier tokens.
 */
function checkMerges(path: string, text: string, { tokens }: Vocabulary): void {
  const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#version: '));
  const ids = new Map(tokens.map((bytes, id) => [bytesToText(bytes), id]));
  const merged = [...ids].filter(([, id]) => (tokens[id]?.length ?? 0) > 1);
  const wrong = merged.findIndex(([token, id], place) => {
    const [left = '', right = '', ...others] = (lines[place] ?? '').split(' ');
    const earlier = [left, right].every((part) => (ids.get(part) ?? id) < id);
    return left + right !== token || !earlier || others.length > 0;
  });
  if (wrong >= 0 || lines.length !== merged.length) {
    const place = wrong < 0 ? merged.length : wrong;
    throw new UserError(
      `${path}: merge ${place + 1} is not the one that the vocabulary needs there; the two do not belong together.`,
    );
  }
}
