import { at } from '../base/arrays.js';
import { type Corpus, type Metric, scoreCorpus } from './metric.js';
import { splitWords } from './words.js';

/** The longest n-grams of characters. */
const LONGEST = 6;
/** How much more recall counts than precision. */
const BETA = 2;

/**
 * chrF2 as sacreBLEU computes it by default (signature `eff:yes|nc:6|nw:0|space:no`; Popović 2015,
 * https://aclanthology.org/W15-3049): n-grams of characters without white space; of several
 * references the one that scores best.
 */
export function chrfMetric(): Metric {
  return {
    name: 'chrF',
    labels: ['chrF'],
    statistics({ hypotheses, references }) {
      const characters = new CharacterNumbers();
      return hypotheses.map((hypothesis, index) => {
        const ngrams = new CharacterNgrams(characters.of(hypothesis));
        let best: Float64Array = new Float64Array(3 * LONGEST);
        let bestScore = -1;
        for (const reference of new Set(at(references, index))) {
          const row = ngrams.compare(characters.of(reference));
          const score = scoreOf(row);
          if (score > bestScore) [best, bestScore] = [row, score];
        }
        return best;
      });
    },
    score: (total) => [scoreOf(total)],
  };
}

/** chrF of a corpus, from 0 to 100. */
export function chrf(corpus: Corpus): number {
  return at(scoreCorpus(chrfMetric(), corpus), 0);
}

/** Numbers the code points of texts, white space left out. */
class CharacterNumbers {
  readonly #numbers = new Map<string, number>();

  of(text: string): Int32Array {
    const characters = Array.from(splitWords(text).join(''));
    return Int32Array.from(characters, (character) => {
      const number = this.#numbers.get(character) ?? this.#numbers.size;
      this.#numbers.set(character, number);
      return number;
    });
  }
}

/**
 * The n-grams of a hypothesis as a tree: a node for each, the children of a node in a list. Few
 * n-grams of a reference are in it, and a walk from each of its characters soon falls off.
 */
class CharacterNgrams {
  readonly #length: number;
  readonly #character: number[] = [-1];
  readonly #firstChild: number[] = [0];
  readonly #nextSibling: number[] = [0];
  readonly #depth: number[] = [0];
  readonly #count: number[] = [0];
  readonly #matched: number[] = [0];

  constructor(characters: Int32Array) {
    this.#length = characters.length;
    for (let start = 0; start < characters.length; start++) {
      let node = 0;
      const end = Math.min(characters.length, start + LONGEST);
      for (let index = start; index < end; index++) {
        node = this.#childOf(node, at(characters, index)) ?? this.#add(node, at(characters, index));
        this.#count[node] = at(this.#count, node) + 1;
      }
    }
  }

  #childOf(node: number, character: number): number | undefined {
    let child = at(this.#firstChild, node);
    while (child !== 0 && this.#character[child] !== character) {
      child = at(this.#nextSibling, child);
    }
    return child === 0 ? undefined : child;
  }

  #add(parent: number, character: number): number {
    const node = this.#character.push(character) - 1;
    this.#nextSibling.push(at(this.#firstChild, parent));
    this.#firstChild[parent] = node;
    this.#firstChild.push(0);
    this.#depth.push(at(this.#depth, parent) + 1);
    this.#count.push(0);
    this.#matched.push(0);
    return node;
  }

  /** For each order: n-grams of the hypothesis, of the reference, and of both. */
  compare(reference: Int32Array): Float64Array {
    const row = new Float64Array(3 * LONGEST);
    for (let order = 0; order < LONGEST; order++) {
      const inReference = Math.max(0, reference.length - order);
      // sacreBLEU does not count the hypothesis where the reference is too short for the order.
      row[3 * order] = inReference > 0 ? Math.max(0, this.#length - order) : 0;
      row[3 * order + 1] = inReference;
    }
    this.#matched.fill(0);
    for (let start = 0; start < reference.length; start++) {
      let node: number | undefined = 0;
      const end = Math.min(reference.length, start + LONGEST);
      for (let index = start; index < end; index++) {
        node = this.#childOf(node, at(reference, index));
        if (node === undefined) break;
        const matched = at(this.#matched, node);
        if (matched === this.#count[node]) continue;
        this.#matched[node] = matched + 1;
        const place = 3 * at(this.#depth, node) - 1;
        row[place] = at(row, place) + 1;
      }
    }
    return row;
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
