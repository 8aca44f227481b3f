import { at } from '../../base/arrays.js';
import type { Lexicon, MeteorWord } from './lexicon.js';
import type { ParaphraseTable } from './paraphrases.js';

/** The stages of matching, in METEOR's order. */
export const STAGES = ['exact', 'stem', 'synonym', 'paraphrase'] as const;

/** Words of the reference that could be aligned with words of the hypothesis. */
export interface Match {
  /** Index into {@link STAGES}. */
  readonly stage: number;
  readonly referenceStart: number;
  readonly referenceLength: number;
  readonly hypothesisStart: number;
  readonly hypothesisLength: number;
  /** What the match is worth in the search for the best alignment. */
  readonly worth: number;
}

/** All matches of two sentences: `matches[i]` begin at word `i` of the reference. */
export interface PossibleMatches {
  readonly matches: readonly (readonly Match[])[];
  /** How many matches cover each word. */
  readonly hypothesisCoverage: Uint16Array;
  readonly referenceCoverage: Uint16Array;
}

/** Finds what could be aligned with one hypothesis (METEOR's four `*Matcher.java`). */
export class Matcher {
  readonly #paraphrases: ParaphraseTable | undefined;
  // The hypothesis at hand has the mark `#mark` at its keys, stems and sets of synonyms: most
  // words of a reference are dismissed with one look.
  readonly #keyMarks: Int32Array;
  readonly #stemMarks: Int32Array;
  readonly #synsetMarks: Int32Array;
  #mark = 0;
  #hypothesis: readonly MeteorWord[] = [];

  /** @param lexicon Must have seen all sentences that will be matched. */
  constructor(lexicon: Lexicon, paraphrases?: ParaphraseTable) {
    this.#paraphrases = paraphrases;
    this.#keyMarks = new Int32Array(lexicon.sizes.keys);
    this.#stemMarks = new Int32Array(lexicon.sizes.stems);
    this.#synsetMarks = new Int32Array(lexicon.sizes.synsets);
  }

  /** Sets the hypothesis that the next references are matched with. */
  begin(hypothesis: readonly MeteorWord[]): void {
    this.#mark++;
    this.#hypothesis = hypothesis;
    for (const word of hypothesis) {
      this.#keyMarks[word.key] = this.#mark;
      this.#stemMarks[word.stem] = this.#mark;
      for (const synset of word.synsets) this.#synsetMarks[synset] = this.#mark;
    }
  }

  /** All matches of the hypothesis with `reference`; undefined where there are none. */
  match(reference: readonly MeteorWord[]): PossibleMatches | undefined {
    const hypothesis = this.#hypothesis;
    // METEOR spares identical sentences the later stages, against errors of the beam search.
    const identical =
      hypothesis.length === reference.length &&
      hypothesis.every((word, index) => word.key === at(reference, index).key);
    let matches: Match[][] | undefined;
    for (let index = 0; index < reference.length; index++) {
      const found = this.#singleWords(at(reference, index), index, identical);
      if (found.length === 0) continue;
      matches ??= reference.map(() => []);
      matches[index] = found;
    }
    if (this.#paraphrases !== undefined && !identical) {
      matches ??= reference.map(() => []);
      this.#addParaphrases(this.#paraphrases, reference, matches);
    }
    return matches && withCoverage(matches, hypothesis.length, reference.length);
  }

  #singleWords(word: MeteorWord, referenceStart: number, exactOnly: boolean): Match[] {
    const hypothesis = this.#hypothesis;
    const found: Match[] = [];
    const add = (stage: number, hypothesisStart: number): void => {
      found.push({
        stage,
        referenceStart,
        referenceLength: 1,
        hypothesisStart,
        hypothesisLength: 1,
        worth: worthOf(stage, 1, 1),
      });
    };
    if (this.#keyMarks[word.key] === this.#mark) {
      hypothesis.forEach((other, index) => {
        if (other.key === word.key) add(0, index);
      });
    }
    if (exactOnly) return found;
    if (this.#stemMarks[word.stem] === this.#mark) {
      hypothesis.forEach((other, index) => {
        if (other.stem === word.stem && other.key !== word.key) add(1, index);
      });
    }
    const shared = word.synsets.filter((synset) => this.#synsetMarks[synset] === this.#mark);
    if (shared.length > 0) {
      hypothesis.forEach((other, index) => {
        if (other.key !== word.key && shared.some((synset) => other.synsets.includes(synset))) {
          add(2, index);
        }
      });
    }
    return found;
  }

  #addParaphrases(
    table: ParaphraseTable,
    reference: readonly MeteorWord[],
    matches: readonly Match[][],
  ): void {
    const ofHypothesis = this.#hypothesis.map((word) => word.text);
    const ofReference = reference.map((word) => word.text);
    const add = (
      referenceStart: number,
      referenceLength: number,
      hypothesisStart: number,
      hypothesisLength: number,
    ): void => {
      at(matches, referenceStart).push({
        stage: 3,
        referenceStart,
        referenceLength,
        hypothesisStart,
        hypothesisLength,
        worth: worthOf(3, referenceLength, hypothesisLength),
      });
    };
    for (let start = 0; start < ofReference.length; start++) {
      for (const { length, paraphrase } of table.startingAt(ofReference, start)) {
        for (const place of placesOf(paraphrase, ofHypothesis)) {
          add(start, length, place, paraphrase.length);
        }
      }
    }
    for (let start = 0; start < ofHypothesis.length; start++) {
      for (const { length, paraphrase } of table.startingAt(ofHypothesis, start)) {
        for (const place of placesOf(paraphrase, ofReference)) {
          add(place, paraphrase.length, start, length);
        }
      }
    }
  }
}

/**
 * METEOR's alignment weights are 1 for exact words and ½ otherwise; its sums are whole numbers
 * that lose the fraction at each step, so that one stemmed word is worth nothing.
 */
function worthOf(stage: number, referenceLength: number, hypothesisLength: number): number {
  const weight = stage === 0 ? 1 : 0.5;
  return Math.floor(referenceLength * weight) + Math.floor(hypothesisLength * weight);
}

function* placesOf(phrase: readonly string[], words: readonly string[]): Generator<number> {
  for (let start = 0; start < words.length; start++) {
    if (phrase.every((word, offset) => words[start + offset] === word)) yield start;
  }
}

function withCoverage(
  matches: readonly (readonly Match[])[],
  hypothesisLength: number,
  referenceLength: number,
): PossibleMatches {
  const hypothesisCoverage = new Uint16Array(hypothesisLength);
  const referenceCoverage = new Uint16Array(referenceLength);
  for (const match of matches.flat()) {
    for (let offset = 0; offset < match.hypothesisLength; offset++) {
      const index = match.hypothesisStart + offset;
      hypothesisCoverage[index] = at(hypothesisCoverage, index) + 1;
    }
    for (let offset = 0; offset < match.referenceLength; offset++) {
      const index = match.referenceStart + offset;
      referenceCoverage[index] = at(referenceCoverage, index) + 1;
    }
  }
  return { matches, hypothesisCoverage, referenceCoverage };
}
