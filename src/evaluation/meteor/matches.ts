import { at } from '../../base/arrays.js';
import type { Lexicon, MeteorWord } from './lexicon.js';
import type { ParaphraseTable } from './paraphrases.js';

/** The stages of matching, in METEOR's order. */
export const STAGES = ['exact', 'stem', 'synonym', 'paraphrase'] as const;

/** Words of the hypothesis that could be aligned with words at some place of the reference. */
export interface Candidate {
  /** Index into {@link STAGES}. */
  readonly stage: number;
  readonly referenceLength: number;
  readonly hypothesisStart: number;
  readonly hypothesisLength: number;
  /** What the match is worth in the search for the best alignment. */
  readonly worth: number;
}

/** Words of the reference that are aligned with words of the hypothesis. */
export interface Match extends Candidate {
  readonly referenceStart: number;
}

/**
 * All matches of two sentences: `candidates[i]` begin at word `i` of the reference. Equal words of
 * the reference share one list, so that memory grows with the texts and not with their product.
 */
export interface PossibleMatches {
  readonly candidates: readonly (readonly Candidate[])[];
  /** How many matches cover each word; the count stops at 255. */
  readonly hypothesisCoverage: Uint8ClampedArray;
  readonly referenceCoverage: Uint8ClampedArray;
}

/** Shared, and never written to: most words of a reference match nothing. */
const NO_CANDIDATES: Candidate[] = [];

/** Finds what could be aligned with one hypothesis (METEOR's four `*Matcher.java`). */
export class Matcher {
  readonly #paraphrases: ParaphraseTable | undefined;
  readonly #alike: AlikeWords;
  // Words that match some word of the hypothesis at hand have the mark `#mark`: most words of a
  // reference are dismissed with one look.
  readonly #marks: Int32Array;
  #mark = 0;
  #hypothesis: readonly MeteorWord[] = [];

  /** @param lexicon Must have seen all sentences that will be matched. */
  constructor(lexicon: Lexicon, paraphrases?: ParaphraseTable) {
    this.#paraphrases = paraphrases;
    this.#alike = new AlikeWords(lexicon.all);
    this.#marks = new Int32Array(lexicon.all.length);
  }

  /** Sets the hypothesis that the next references are matched with. */
  begin(hypothesis: readonly MeteorWord[]): void {
    this.#mark++;
    this.#hypothesis = hypothesis;
    for (const word of hypothesis) {
      for (const other of this.#alike.of(word)) this.#marks[other] = this.#mark;
    }
  }

  /** All matches of the hypothesis with `reference`; undefined where there are none. */
  match(reference: readonly MeteorWord[]): PossibleMatches | undefined {
    const hypothesis = this.#hypothesis;
    // METEOR spares identical sentences the later stages, and its search aligns each word with
    // itself: that path is at no step behind another in worth, chunks or distance.
    if (areSame(hypothesis, reference)) {
      const itself = hypothesis.map((_, index) => [singleWord(0, index)]);
      return withCoverage(itself, hypothesis.length, reference.length);
    }
    let candidates: Candidate[][] | undefined;
    const known = new Map<number, Candidate[]>();
    let place = 0;
    for (const word of reference) {
      if (this.#marks[word.number] === this.#mark) {
        candidates ??= new Array<Candidate[]>(reference.length).fill(NO_CANDIDATES);
        let found = known.get(word.number);
        if (found === undefined) {
          found = this.#singleWords(word);
          known.set(word.number, found);
        }
        candidates[place] = found;
      }
      place++;
    }
    if (this.#paraphrases !== undefined) {
      candidates = reference.map((_, index) => [...(candidates?.[index] ?? [])]);
      this.#addParaphrases(this.#paraphrases, reference, candidates);
    }
    return candidates && withCoverage(candidates, hypothesis.length, reference.length);
  }

  #singleWords(word: MeteorWord): Candidate[] {
    const found: Candidate[] = [];
    // Most words match exactly or not at all: the other stages' lists are made when needed.
    let byStem: Candidate[] | undefined;
    let bySynonym: Candidate[] | undefined;
    let index = -1;
    for (const other of this.#hypothesis) {
      index++;
      if (other.key === word.key) {
        found.push(singleWord(0, index));
      } else {
        // A word may match by its stem and by its meaning: then both are candidates.
        if (other.stem === word.stem) (byStem ??= []).push(singleWord(1, index));
        if (shareOne(word.synsets, other.synsets)) (bySynonym ??= []).push(singleWord(2, index));
      }
    }
    if (byStem !== undefined) append(found, byStem);
    if (bySynonym !== undefined) append(found, bySynonym);
    return found;
  }

  #addParaphrases(
    table: ParaphraseTable,
    reference: readonly MeteorWord[],
    candidates: readonly Candidate[][],
  ): void {
    const ofHypothesis = this.#hypothesis.map((word) => word.text);
    const ofReference = reference.map((word) => word.text);
    const add = (
      referenceStart: number,
      referenceLength: number,
      hypothesisStart: number,
      hypothesisLength: number,
    ): void => {
      at(candidates, referenceStart).push({
        stage: 3,
        referenceLength,
        hypothesisStart,
        hypothesisLength,
        worth: worthOfParaphrase(referenceLength, hypothesisLength),
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

/** Which words share a key, a stem or a set of synonyms. */
class AlikeWords {
  readonly #byKey: number[][] = [];
  readonly #byStem: number[][] = [];
  readonly #bySynset: number[][] = [];
  readonly #known: Int32Array[] = [];

  constructor(words: readonly MeteorWord[]) {
    for (const { number, key, stem, synsets } of words) {
      (this.#byKey[key] ??= []).push(number);
      (this.#byStem[stem] ??= []).push(number);
      for (const synset of synsets) (this.#bySynset[synset] ??= []).push(number);
    }
  }

  /** The numbers of the words that `word` is alike, its own among them. */
  of({ number, key, stem, synsets }: MeteorWord): Int32Array {
    return (this.#known[number] ??= new Int32Array(
      new Set([
        ...at(this.#byKey, key),
        ...at(this.#byStem, stem),
        ...synsets.flatMap((synset) => at(this.#bySynset, synset)),
      ]),
    ));
  }
}

function areSame(some: readonly MeteorWord[], others: readonly MeteorWord[]): boolean {
  return (
    some.length === others.length && some.every((word, index) => word.key === at(others, index).key)
  );
}

function singleWord(stage: number, hypothesisStart: number): Candidate {
  return {
    stage,
    referenceLength: 1,
    hypothesisStart,
    hypothesisLength: 1,
    worth: stage === 0 ? 2 : 0,
  };
}

/** Not a spread: a list may be longer than a call's arguments may be. */
function append<T>(list: T[], more: readonly T[]): void {
  for (const one of more) list.push(one);
}

/** Whether two ascending lists share a number. */
function shareOne(some: readonly number[], others: readonly number[]): boolean {
  let index = 0;
  for (const number of some) {
    while ((others[index] ?? Infinity) < number) index++;
    if (others[index] === number) return true;
  }
  return false;
}

/**
 * METEOR's alignment weights are 1 for exact words and ½ otherwise; its sums are whole numbers
 * that lose the fraction at each step, so that a single word that is not exact is worth nothing.
 */
function worthOfParaphrase(referenceLength: number, hypothesisLength: number): number {
  return Math.floor(referenceLength / 2) + Math.floor(hypothesisLength / 2);
}

function* placesOf(phrase: readonly string[], words: readonly string[]): Generator<number> {
  for (let start = 0; start < words.length; start++) {
    if (phrase.every((word, offset) => words[start + offset] === word)) yield start;
  }
}

function withCoverage(
  candidates: readonly (readonly Candidate[])[],
  hypothesisLength: number,
  referenceLength: number,
): PossibleMatches {
  const hypothesisCoverage = new Uint8ClampedArray(hypothesisLength);
  const referenceCoverage = new Uint8ClampedArray(referenceLength);
  candidates.forEach((list, referenceStart) => {
    for (const candidate of list) {
      cover(hypothesisCoverage, candidate.hypothesisStart, candidate.hypothesisLength);
      cover(referenceCoverage, referenceStart, candidate.referenceLength);
    }
  });
  return { candidates, hypothesisCoverage, referenceCoverage };
}

function cover(coverage: Uint8ClampedArray, start: number, length: number): void {
  for (let index = start; index < start + length; index++) {
    coverage[index] = (coverage[index] ?? 0) + 1;
  }
}
