import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { pipeline } from 'node:stream';
import { explainFileError, UserError } from '../../base/errors.js';
import { splitWords } from '../words.js';

/** A phrase that starts somewhere in a sentence, and another that says the same. */
export interface Paraphrase {
  /** How many words of the sentence the phrase takes up. */
  readonly length: number;
  readonly paraphrase: readonly string[];
}

interface Node {
  readonly next: Map<string, Node>;
  readonly paraphrases: (readonly string[])[];
}

/** METEOR's paraphrase table (`ParaphraseTransducer.java`): phrases and what they can be said as. */
export class ParaphraseTable {
  readonly #root: Node = { next: new Map(), paraphrases: [] };
  #size = 0;

  /** How many pairs of phrases the table holds. */
  get size(): number {
    return this.#size;
  }

  add(phrase: readonly string[], paraphrase: readonly string[]): void {
    let node = this.#root;
    for (const word of phrase) {
      const next = node.next.get(word) ?? { next: new Map<string, Node>(), paraphrases: [] };
      node.next.set(word, next);
      node = next;
    }
    node.paraphrases.push(paraphrase);
    this.#size++;
  }

  /** The paraphrases of all phrases that begin at `start`, shorter phrases first. */
  startingAt(words: readonly string[], start: number): Paraphrase[] {
    const found: Paraphrase[] = [];
    let node: Node | undefined = this.#root;
    for (let end = start; end < words.length; end++) {
      node = node.next.get(words[end] ?? '');
      if (node === undefined) break;
      for (const paraphrase of node.paraphrases) {
        found.push({ length: end + 1 - start, paraphrase });
      }
    }
    return found;
  }
}

/**
 * Reads METEOR's `paraphrase-en.gz`: for each pair three lines, a probability (unused, as in
 * METEOR), a phrase and its paraphrase.
 *
 * @param vocabulary The words of the texts to be compared. A pair with any other word can match
 *   nothing and is left out, which keeps the table of several million pairs small.
 * @throws UserError where the file is not a whole gzip file of such lines.
 */
export async function readParaphrases(
  path: string,
  vocabulary: ReadonlySet<string>,
): Promise<ParaphraseTable> {
  const table = new ParaphraseTable();
  const file = createReadStream(path);
  const unpacked = pipeline(file, createGunzip(), () => undefined);
  const allKnown = (words: readonly string[]): boolean =>
    words.every((word) => vocabulary.has(word));
  let number = 0;
  let phrase: string[] = [];
  try {
    for await (const line of createInterface({ input: unpacked, crlfDelay: Infinity })) {
      number++;
      if (number % 3 === 2) phrase = splitWords(line);
      if (number % 3 === 0 && allKnown(phrase)) {
        const paraphrase = splitWords(line);
        if (allKnown(paraphrase)) table.add(phrase, paraphrase);
      }
    }
  } catch (error) {
    const explained = explainFileError(error, path);
    if (explained !== error) throw explained;
    throw new UserError(`${path}: this is not a whole gzip file; fetch it again.`, {
      cause: error,
    });
  }
  if (number % 3 !== 0) {
    throw new UserError(
      `${path}: ${number} lines, which is not a multiple of three; fetch the file again.`,
    );
  }
  return table;
}
