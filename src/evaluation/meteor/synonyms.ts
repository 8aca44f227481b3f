/**
 * METEOR's WordNet dictionary (`SynonymDictionary.java`): which sets of synonyms a word is in, by
 * itself or by its base form.
 */
export class SynonymDictionary {
  /** The text of the sets, and where in it each word's numbers begin. */
  readonly #text: string;
  readonly #places = new Map<string, number>();
  readonly #bases: ReadonlyMap<string, readonly string[]>;

  /**
   * @param synsets The text of `english.synsets`: a line with a word, a line with the numbers of
   *   its sets, and so on.
   * @param exceptions The text of `english.exceptions`: a line with a base form, a line with its
   *   irregular forms, and so on.
   */
  constructor(synsets: string, exceptions: string) {
    this.#text = synsets;
    for (let start = 0; start < synsets.length;) {
      const end = lineEnd(synsets, start);
      this.#places.set(synsets.slice(start, end).trimEnd(), end + 1);
      start = lineEnd(synsets, end + 1) + 1;
    }
    const bases = new Map<string, string[]>();
    for (const [base, forms] of pairsOfLines(exceptions)) {
      for (const form of forms.split(/\s+/).filter((word) => word !== '')) {
        const known = bases.get(form);
        if (known === undefined) bases.set(form, [base]);
        else known.push(base);
      }
    }
    this.#bases = bases;
  }

  /** The numbers of the sets that `word` or its base forms are in, each once. */
  synsetsOf(word: string): number[] {
    const numbers: number[] = [];
    this.#addNumbers(word, numbers);
    const bases = this.#bases.get(word);
    if (bases === undefined) this.#addNumbers(this.#baseForm(word), numbers);
    else for (const base of bases) this.#addNumbers(base, numbers);
    return numbers;
  }

  #addNumbers(word: string, numbers: number[]): void {
    const start = this.#places.get(word);
    if (start === undefined) return;
    const line = this.#text.slice(start, lineEnd(this.#text, start));
    for (const field of line.trim().split(/\s+/)) {
      const number = Number(field);
      if (!numbers.includes(number)) numbers.push(number);
    }
  }

  /** WordNet's morphology: the first ending that can be replaced so that the result is a word. */
  #baseForm(word: string): string {
    if (word.endsWith('ss') || word.length <= 2) return word;
    for (const [ending, replacement] of BASE_ENDINGS) {
      if (!word.endsWith(ending)) continue;
      const base = word.slice(0, word.length - ending.length) + replacement;
      if (this.#places.has(base)) return base;
    }
    return '';
  }
}

const BASE_ENDINGS: readonly (readonly [ending: string, replacement: string])[] = [
  // Nouns.
  ['s', ''],
  ['ses', 's'],
  ['xes', 'x'],
  ['zes', 'z'],
  ['ches', 'ch'],
  ['shes', 'sh'],
  ['men', 'man'],
  ['ies', 'y'],
  // Verbs.
  ['s', ''],
  ['ies', 'y'],
  ['es', 'e'],
  ['es', ''],
  ['ed', 'e'],
  ['ed', ''],
  ['ing', 'e'],
  ['ing', ''],
  // Adjectives.
  ['er', ''],
  ['est', ''],
  ['er', 'e'],
  ['est', 'e'],
];

/** Where the line that begins at `start` ends. */
function lineEnd(text: string, start: number): number {
  const end = text.indexOf('\n', start);
  return end === -1 ? text.length : end;
}

function* pairsOfLines(text: string): Generator<[string, string]> {
  const lines = text.split(/\r?\n/);
  for (let index = 0; index + 1 < lines.length; index += 2) {
    yield [lines[index] ?? '', lines[index + 1] ?? ''];
  }
}
