import { nextTurn } from '../base/turns.js';
import type { Gpt2Config } from '../model/index.js';
import type { Sequence } from './slots.js';

/** What the model says after a sequence, in memory that the next reading overwrites. */
export interface Reading {
  /** The scores of the next token: `[vocab_size]`. */
  readonly logits: Float32Array;
  /** The states of the tokens read last, at least of the last one: `[tokens, n_embd]`. */
  readonly states: Float32Array;
  /** How many tokens of the sequence had been read before. */
  readonly known: number;
}

/** What a search reads with: a `Decoder`, or a share of one. */
export interface Reader {
  readonly config: Gpt2Config;
  /**
   * Says what the model makes of sequences, in their order; valid until the caller reads again or waits for
   * anything else, as others may read then.
   */
  read(sequences: readonly Sequence[]): Promise<readonly Reading[]>;
}

/** A question that waits for its turn. */
interface Waiting {
  readonly sequences: readonly Sequence[];
  readonly resolve: (readings: readonly Reading[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One decoder for many who read at the same time: what they ask for meanwhile is read together, in
 * one batch. So conversations that know nothing of each other are answered side by side, and one
 * that ends makes room at once.
 */
export class SharedDecoder implements Reader {
  readonly #decoder: Reader;
  #waiting: Waiting[] = [];
  #busy = false;

  constructor(decoder: Reader) {
    this.#decoder = decoder;
  }

  get config(): Gpt2Config {
    return this.#decoder.config;
  }

  read(sequences: readonly Sequence[]): Promise<readonly Reading[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ sequences, resolve, reject });
      if (!this.#busy) void this.#serve();
    });
  }

  async #serve(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      // Whoever has just been answered chooses a token and asks again before the next batch.
      await nextTurn();
      const together = this.#waiting;
      this.#waiting = [];
      try {
        const readings = await this.#decoder.read(together.flatMap(({ sequences }) => sequences));
        let offset = 0;
        for (const { sequences, resolve } of together) {
          resolve(readings.slice(offset, offset + sequences.length));
          offset += sequences.length;
        }
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
      await nextTurn();
    }
    this.#busy = false;
  }
}
