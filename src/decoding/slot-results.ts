import type { Gpt2Config } from '../model/index.js';
import { float32, floatsOf, type HostTensors } from '../runtime/portable.js';
import { HIDDEN_STATES, LOGITS } from './decode-graph.js';
import type { Reading } from './reader.js';

/** What a run says of one slot. */
export type Output = Omit<Reading, 'known'>;

/** Where the graph's results of each slot go. */
export class SlotResults {
  readonly #config: Gpt2Config;
  readonly #logits: Float32Array;
  readonly #states: Float32Array;

  constructor(config: Gpt2Config, slots: number) {
    this.#config = config;
    this.#logits = new Float32Array(slots * config.vocab_size);
    this.#states = new Float32Array(slots * config.n_embd);
  }

  /** The outputs of `count` slots from `first` on, with the states of so many tokens of each. */
  of(first: number, count: number, tokens: number): HostTensors {
    const { vocab_size: vocabulary, n_embd: width } = this.#config;
    const some = (values: Float32Array, length: number) =>
      values.subarray(first * length, (first + count) * length);
    const states =
      tokens === 1 ? some(this.#states, width) : new Float32Array(count * tokens * width);
    return {
      [LOGITS]: float32(some(this.#logits, vocabulary), [count, vocabulary]),
      [HIDDEN_STATES]: float32(states, [count * tokens, width]),
    };
  }
}

/** What the results of `rows` slots say of one of them. */
export function readingOf(results: HostTensors, row: number, rows: number): Output {
  return {
    logits: part(floatsOf(results[LOGITS]), row, rows),
    states: part(floatsOf(results[HIDDEN_STATES]), row, rows),
  };
}

/** One of `count` equal parts. */
function part(values: Float32Array, index: number, count: number): Float32Array {
  const length = values.length / count;
  return values.subarray(index * length, (index + 1) * length);
}
