import { at } from '../base/arrays.js';
import { bestCounts, type Corpus, type Metric, scoreCorpus } from './metric.js';
import { NumberRow, Pieces, splitWords, WordNumbers } from './words.js';

/** The longest n-grams of characters. */
const LONGEST = 6;
/** How much more recall counts than precision. */
const BETA = 2;
/** Characters of a smaller number count as common. */
const COMMON = 128;

/**
 * chrF2 as sacreBLEU computes it by default (signature `eff:yes|nc:6|nw:0|space:no`; Popović 2015,
 * https://aclanthology.org/W15-3049): n-grams of characters without white space; of several
 * references the one that scores best.
 */
export function chrfMetric(pieces = new Pieces()): Metric {
  const characters = new WordNumbers(pieces, charactersOf);
  return {
    name: 'chrF',
    labels: ['chrF'],
    statistics({ hypotheses, references }) {
      const ngrams = new CharacterNgrams();
      const row = new NumberRow();
      const read = (text: string): Int32Array => {
        row.length = 0;
        characters.append(text, row);
        return row.numbers;
      };
      const compare = (reference: string, counts: Float64Array): void => {
        ngrams.compare(read(reference), counts);
      };
      return hypotheses.map((hypothesis, index) => {
        ngrams.begin(read(hypothesis));
        return bestCounts(3 * LONGEST, new Set(at(references, index)), compare, scoreOf);
      });
    },
    score: (total) => [scoreOf(total)],
  };
}

/** chrF of a corpus, from 0 to 100. */
export function chrf(corpus: Corpus): number {
  return at(scoreCorpus(chrfMetric(), corpus), 0);
}

/** The code points of a text, white space left out. */
function charactersOf(text: string): string[] {
  return splitWords(text).flatMap((word) => Array.from(word));
}

/**
 * The n-grams of a hypothesis as a tree: a node for each, the children of a node in a list. Few
 * n-grams of a reference are in it, and a walk from each of its characters soon falls off. One
 * tree serves for all hypotheses, one after the other: making arrays takes longer than the rest.
 */
class CharacterNgrams {
  #length = 0;
  #nodes = 1;
  #character = new Int32Array(1 << 10);
  #firstChild = new Int32Array(1 << 10);
  #nextSibling = new Int32Array(1 << 10);
  #count = new Int32Array(1 << 10);
  #matched = new Int32Array(1 << 10);
  /** The root's children for the first, so the most common, characters: too many for a list. */
  readonly #commonChild = new Int32Array(COMMON);

  /** Sets the hypothesis. */
  begin(characters: Int32Array): void {
    this.#length = characters.length;
    this.#reserve(characters.length * LONGEST + 1);
    this.#nodes = 1;
    this.#firstChild[0] = 0;
    this.#commonChild.fill(0);
    for (let start = 0; start < characters.length; start++) {
      let node = 0;
      const end = Math.min(characters.length, start + LONGEST);
      for (let index = start; index < end; index++) {
        const character = characters[index] ?? 0;
        const child = this.#childOf(node, character);
        node = child === 0 ? this.#add(node, character) : child;
        this.#count[node] = (this.#count[node] ?? 0) + 1;
      }
    }
  }

  #reserve(nodes: number): void {
    if (nodes <= this.#character.length) return;
    this.#character = new Int32Array(2 * nodes);
    this.#firstChild = new Int32Array(2 * nodes);
    this.#nextSibling = new Int32Array(2 * nodes);
    this.#count = new Int32Array(2 * nodes);
    this.#matched = new Int32Array(2 * nodes);
  }

  /** The child of a node; 0, the root, where it has none such. */
  #childOf(node: number, character: number): number {
    if (node === 0 && character < COMMON) return this.#commonChild[character] ?? 0;
    let child = this.#firstChild[node] ?? 0;
    while (child !== 0 && this.#character[child] !== character) {
      child = this.#nextSibling[child] ?? 0;
    }
    return child;
  }

  #add(parent: number, character: number): number {
    const node = this.#nodes++;
    this.#character[node] = character;
    this.#firstChild[node] = 0;
    this.#count[node] = 0;
    if (parent === 0 && character < COMMON) {
      this.#commonChild[character] = node;
    } else {
      this.#nextSibling[node] = this.#firstChild[parent] ?? 0;
      this.#firstChild[parent] = node;
    }
    return node;
  }

  /** Sets `counts`, for each order: n-grams of the hypothesis, of the reference, and of both. */
  compare(reference: Int32Array, counts: Float64Array): void {
    counts.fill(0);
    for (let order = 0; order < LONGEST; order++) {
      const inReference = Math.max(0, reference.length - order);
      // sacreBLEU does not count the hypothesis where the reference is too short for the order.
      counts[3 * order] = inReference > 0 ? Math.max(0, this.#length - order) : 0;
      counts[3 * order + 1] = inReference;
    }
    const matched = this.#matched;
    matched.fill(0, 0, this.#nodes);
    for (let start = 0; start < reference.length; start++) {
      let node = 0;
      const end = Math.min(reference.length, start + LONGEST);
      for (let index = start; index < end; index++) {
        node = this.#childOf(node, reference[index] ?? 0);
        if (node === 0) break;
        const times = matched[node] ?? 0;
        if (times === this.#count[node]) continue;
        matched[node] = times + 1;
        const place = 3 * (index - start) + 2;
        counts[place] = (counts[place] ?? 0) + 1;
      }
    }
  }
}

function scoreOf(counts: Float64Array): number {
  let precision = 0;
  let recall = 0;
  let orders = 0;
  for (let order = 0; order < LONGEST; order++) {
    const inHypothesis = at(counts, 3 * order);
    const inReference = at(counts, 3 * order + 1);
    if (inHypothesis === 0 || inReference === 0) continue;
    precision += at(counts, 3 * order + 2) / inHypothesis;
    recall += at(counts, 3 * order + 2) / inReference;
    orders++;
  }
  if (precision + recall === 0) return 0;
  precision /= orders;
  recall /= orders;
  return (100 * (1 + BETA ** 2) * precision * recall) / (BETA ** 2 * precision + recall);
}
