import { range } from '../base/arrays.js';
import type { Corpus } from './metric.js';
import type { Ngrams } from './ngrams.js';
import { NumberRow, type WordNumbers } from './words.js';

/**
 * The sentences of a corpus in a row: all hypotheses, then instance by instance the references.
 * A 0 stands before and after each, so that no n-gram reaches over an end.
 */
export class Sentences {
  /** How many instances there are, each with one hypothesis: sentence `i` is instance `i`'s. */
  readonly instances: number;
  readonly words: Ngrams;
  /** The place where the references begin. */
  readonly referenceStart: number;
  /** How many sentences there are. */
  readonly count: number;
  /** How many words all references have. */
  readonly referenceWords: number;
  /** Where each sentence begins, and where one more would. */
  readonly #starts: Int32Array;
  /** The sentence that is each instance's first reference, and the one after all. */
  readonly #firstReferences: Int32Array;

  constructor({ hypotheses, references }: Corpus, words: WordNumbers) {
    const row = new NumberRow();
    const starts = new NumberRow();
    row.push(0);
    starts.push(row.length);
    const add = (text: string): void => {
      words.append(text, row);
      row.push(0);
      starts.push(row.length);
    };
    hypotheses.forEach(add);
    this.instances = hypotheses.length;
    this.referenceStart = row.length;
    const firstReferences = [hypotheses.length];
    for (const texts of references) {
      texts.forEach(add);
      firstReferences.push(starts.length - 1);
    }
    this.count = starts.length - 1;
    this.referenceWords = row.length - this.referenceStart - (this.count - this.instances);
    this.words = { numbers: row.numbers, size: words.size + 1 };
    this.#starts = starts.numbers;
    this.#firstReferences = new Int32Array(firstReferences);
  }

  /** The place of a sentence's first word. */
  start(sentence: number): number {
    return this.#starts[sentence] ?? 0;
  }

  /** The place after a sentence's last word. */
  end(sentence: number): number {
    return this.start(sentence + 1) - 1;
  }

  /** How many words a sentence has. */
  length(sentence: number): number {
    return this.end(sentence) - this.start(sentence);
  }

  /** The sentence that is an instance's first reference; up to the next instance's all are its. */
  firstReference(instance: number): number {
    return this.#firstReferences[instance] ?? 0;
  }

  /** The sentences that are an instance's references. */
  references(instance: number): number[] {
    return range(this.firstReference(instance), this.firstReference(instance + 1));
  }
}
