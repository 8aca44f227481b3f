import type { Pieces } from '../words.js';
import { Normalizer } from './normalize.js';
import type { MeteorResources } from './resources.js';
import { stemEnglish } from './stemmer.js';

/** A word and all that METEOR compares of it. */
export interface MeteorWord {
  readonly text: string;
  /** Different for different words, from 0. */
  readonly number: number;
  /** Equal for equal words. */
  readonly key: number;
  /** Equal for words of the same stem. */
  readonly stem: number;
  readonly isFunction: boolean;
  /** The sets of synonyms it is in, ascending. */
  readonly synsets: readonly number[];
}

/** Turns texts into words; looks each different word up once. */
export class Lexicon {
  readonly #resources: MeteorResources;
  readonly #normalizer: Normalizer<MeteorWord>;
  readonly #texts = new Map<string, readonly MeteorWord[]>();
  readonly #words = new Map<string, MeteorWord>();
  readonly #keys = new Numbering<number>();
  readonly #stems = new Numbering<number>();
  readonly #synsets = new Numbering<number>();

  constructor(resources: MeteorResources, pieces: Pieces) {
    this.#resources = resources;
    this.#normalizer = new Normalizer(resources.prefixes, pieces, (word) => this.#word(word));
  }

  /** All different words so far, by their number. */
  get all(): readonly MeteorWord[] {
    return [...this.#words.values()];
  }

  /** The words of a text; the same array for the same text. */
  words(text: string): readonly MeteorWord[] {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const words = this.#normalizer.words(text);
    this.#texts.set(text, words);
    return words;
  }

  #word(text: string): MeteorWord {
    const known = this.#words.get(text);
    if (known !== undefined) return known;
    const synsets = this.#resources.synonyms?.synsetsOf(text) ?? [];
    const word: MeteorWord = {
      text,
      number: this.#words.size,
      key: this.#keys.of(javaHash(text)),
      stem: this.#stems.of(javaHash(stemEnglish(text))),
      isFunction: this.#resources.functionWords.has(text),
      synsets: synsets.map((synset) => this.#synsets.of(synset)).sort((a, b) => a - b),
    };
    this.#words.set(text, word);
    return word;
  }
}

/** Numbers different things from 0, in the order in which they come. */
class Numbering<T> {
  readonly #numbers = new Map<T, number>();

  of(thing: T): number {
    const known = this.#numbers.get(thing);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(thing, number);
    return number;
  }
}

/**
 * Java's String.hashCode. METEOR takes words of the same hash for the same word; so do we, to
 * give its numbers in the rare case that it matters.
 */
function javaHash(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) {
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0;
  }
  return hash;
}
