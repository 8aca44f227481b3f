/** A node of the trie: the characters that may follow, and whether a keyword ends here. */
interface Node {
  readonly next: Map<string, Node>;
  ends: boolean;
}

/** The characters that make up words (flashtext's `non_word_boundaries`). */
const INSIDE_WORD = /^[0-9A-Za-z_]$/;

/**
 * Whether a text contains one of many words or phrases, with flashtext's rules (KeywordProcessor,
 * 2.7): case does not count, a keyword starts where a word starts and ends where one ends, and at
 * each place the longest is taken. Its quirks are kept, as the original's output shows them: a
 * keyword that begins or ends with other than a letter, digit or `_` is found in fewer places than
 * one would think.
 */
export class Keywords {
  readonly #root: Node = { next: new Map(), ends: false };

  constructor(keywords: Iterable<string>) {
    for (const keyword of keywords) {
      if (keyword === '') continue;
      let node = this.#root;
      for (const character of keyword.toLowerCase()) {
        let next = node.next.get(character);
        if (next === undefined) node.next.set(character, (next = { next: new Map(), ends: false }));
        node = next;
      }
      node.ends = true;
    }
  }

  /** Whether flashtext's `extract_keywords(text)` would find anything. */
  foundIn(text: string): boolean {
    if (this.#root.next.size === 0) return false;
    const characters = Array.from(text.toLowerCase());
    let node = this.#root;
    for (let index = 0; index < characters.length; index++) {
      const character = characters[index] ?? '';
      const next = node.next.get(character);
      if (!INSIDE_WORD.test(character)) {
        if (node.ends) return true;
        // Here a phrase may go on over the end of a word.
        if (next !== undefined && continues(characters, index + 1, next)) return true;
        node = this.#root;
      } else if (next !== undefined) {
        node = next;
      } else {
        node = this.#root;
        // The rest of this word cannot start a keyword; its end is read as a character of its own
        // by the step after next, as in flashtext.
        index++;
        while (index < characters.length && INSIDE_WORD.test(characters[index] ?? '')) index++;
      }
      if (index + 1 >= characters.length && node.ends) return true;
    }
    return false;
  }
}

/** Whether a keyword that goes on from `node` at `index` ends at a word's end. */
function continues(characters: readonly string[], index: number, node: Node): boolean {
  let current = node;
  for (; index < characters.length; index++) {
    const character = characters[index] ?? '';
    if (current.ends && !INSIDE_WORD.test(character)) return true;
    const next = current.next.get(character);
    if (next === undefined) return false;
    current = next;
  }
  return current.ends;
}
