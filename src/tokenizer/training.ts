import { at } from '../base/arrays.js';
import { bytesInVocabularyOrder } from './bytes.js';
import { WORD_PATTERN } from './tokenizer.js';
import type { Vocabulary } from './vocabulary.js';

/** A word of the corpus as the ids of its parts, and how often it occurs. */
interface Word {
  parts: number[];
  readonly count: number;
}

/**
 * Learns a byte-level byte-pair encoding (Sennrich et al. 2016; over bytes as in Radford et al.
 * 2019, section 2.2): starting from the 256 bytes, the pair of neighbours that is most frequent
 * within words becomes a token, until there are `size` tokens or no pair occurs twice. Of equally
 * frequent pairs, the one of lower ids is taken, so the result depends on the texts alone.
 *
 * @param size the number of tokens wanted, `<|endoftext|>` included; at least 257
 */
export function trainVocabulary(texts: Iterable<string>, size: number): Vocabulary {
  if (size < 257)
    throw new RangeError(`A byte-level vocabulary has at least 257 tokens, not ${size}.`);
  const idOfByte = new Map(bytesInVocabularyOrder.map((byte, id) => [byte, id]));
  const words = countWords(texts, (byte) => idOfByte.get(byte) ?? 0);
  const tokens: (readonly number[])[] = bytesInVocabularyOrder.map((byte) => [byte]);

  const pairs = new PairCounts();
  for (const [index, word] of words.entries()) pairs.addWord(word, index, 1);
  while (tokens.length < size - 1) {
    const best = pairs.mostFrequent();
    if (best === undefined) break;
    const [left, right] = best;
    const merged = tokens.length;
    tokens.push([...at(tokens, left), ...at(tokens, right)]);
    for (const index of pairs.wordsWith(left, right)) {
      const word = at(words, index);
      pairs.addWord(word, index, -1);
      word.parts = mergePair(word.parts, left, right, merged);
      pairs.addWord(word, index, 1);
    }
  }
  return { tokens };
}

function countWords(texts: Iterable<string>, idOfByte: (byte: number) => number): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.toWellFormed().matchAll(WORD_PATTERN)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  const encoder = new TextEncoder();
  return [...counts].map(([word, count]) => ({
    parts: Array.from(encoder.encode(word), idOfByte),
    count,
  }));
}

function mergePair(
  parts: readonly number[],
  left: number,
  right: number,
  merged: number,
): number[] {
  const result: number[] = [];
  for (let index = 0; index < parts.length; index++) {
    const both = parts[index] === left && parts[index + 1] === right;
    result.push(both ? merged : at(parts, index));
    if (both) index += 1;
  }
  return result;
}

/** How often each pair of neighbours occurs, and in which words. */
class PairCounts {
  readonly #counts = new Map<number, number>();
  readonly #words = new Map<number, Set<number>>();

  /** Counts a word's pairs in (`sign` 1) or out (−1). */
  addWord({ parts, count }: Word, index: number, sign: 1 | -1): void {
    for (let place = 0; place + 1 < parts.length; place++) {
      const key = keyOfPair(at(parts, place), at(parts, place + 1));
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + sign * count);
      const words = this.#words.get(key) ?? new Set();
      if (sign === 1) words.add(index);
      else words.delete(index);
      this.#words.set(key, words);
    }
  }

  /** The pair that occurs most often, if one occurs at least twice. */
  mostFrequent(): readonly [number, number] | undefined {
    let best: number | undefined;
    let most = 1;
    for (const [key, count] of this.#counts) {
      if (count > most || (count === most && best !== undefined && key < best)) {
        best = key;
        most = count;
      }
    }
    return best === undefined ? undefined : [Math.floor(best / PAIR), best % PAIR];
  }

  /** The words in which a pair occurs. */
  wordsWith(left: number, right: number): readonly number[] {
    return [...(this.#words.get(keyOfPair(left, right)) ?? [])];
  }
}

/** Ids are below this, so a pair of them is one exact number. */
const PAIR = 2 ** 24;

function keyOfPair(left: number, right: number): number {
  return left * PAIR + right;
}
