/** A node of the trie: the UTF-16 code units that may follow, and whether a keyword ends here. */
interface Node {
  readonly next: Map<number, Node>;
  ends: boolean;
}

/** 1 for the code units that make up words (flashtext's `non_word_boundaries`). */
const WORD_CODES = Uint8Array.from({ length: 128 }, (_, code) =>
  /[0-9A-Za-z_]/.test(String.fromCharCode(code)) ? 1 : 0,
);

function isInsideWord(code: number): boolean {
  return WORD_CODES[code] === 1;
}

/**
 * Whether a text contains one of many words or phrases, with flashtext's rules (KeywordProcessor,
 * 2.7): case does not count, a keyword starts where a word starts and ends where one ends, and at
 * each place the longest is taken. Its quirks are kept, as the original's output shows them: a
 * keyword that begins or ends with other than a letter, digit or `_` is found in fewer places than
 * one would think.
 */
export class Keywords {
  readonly #root: Node = { next: new Map(), ends: false };
  /** 1 for the code units below 128 that begin a keyword: most words are passed over by this alone. */
  readonly #first = new Uint8Array(128);

  constructor(keywords: Iterable<string>) {
    for (const keyword of keywords) {
      if (keyword === '') continue;
      let node = this.#root;
      const lower = keyword.toLowerCase();
      for (let index = 0; index < lower.length; index++) {
        const code = lower.charCodeAt(index);
        let next = node.next.get(code);
        if (next === undefined) node.next.set(code, (next = { next: new Map(), ends: false }));
        node = next;
      }
      node.ends = true;
    }
    for (const code of this.#root.next.keys()) if (code < 128) this.#first[code] = 1;
  }

  /** Whether flashtext's `extract_keywords(text)` would find anything. */
  foundIn(text: string): boolean {
    if (this.#root.next.size === 0) return false;
    const lower = text.toLowerCase();
    let node = this.#root;
    for (let index = 0; index < lower.length; index++) {
      const code = lower.charCodeAt(index);
      const begins = node !== this.#root || code >= 128 || this.#first[code] === 1;
      const next = begins ? node.next.get(code) : undefined;
      if (!isInsideWord(code)) {
        if (node.ends) return true;
        // Here a phrase may go on over the end of a word.
        if (next !== undefined && continues(lower, index + 1, next)) return true;
        node = this.#root;
      } else if (next !== undefined) {
        node = next;
      } else {
        node = this.#root;
        // The rest of this word cannot start a keyword; the character after it is passed over too,
        // as in flashtext.
        index++;
        while (index < lower.length && isInsideWord(lower.charCodeAt(index))) index++;
      }
      if (index + 1 >= lower.length && node.ends) return true;
    }
    return false;
  }
}

/** Whether a keyword that goes on from `node` at `start` ends at a word's end. */
function continues(text: string, start: number, node: Node): boolean {
  let current = node;
  for (let index = start; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (current.ends && !isInsideWord(code)) return true;
    const next = current.next.get(code);
    if (next === undefined) return false;
    current = next;
  }
  return current.ends;
}
