import { at, range } from '../base/arrays.js';
import { cacheName, type Gpt2Config } from '../model/index.js';
import { float32, floatsOf, type HostTensor, type HostTensors } from '../runtime/portable.js';

/** The keys or the values of one layer. */
interface CacheBuffer {
  readonly past: string;
  readonly prefix: string;
  readonly present: string;
  /** `[slots, n_head, capacity, n_embd / n_head]` */
  readonly values: Float32Array;
}

/** The keys and values of several sequences, each in a slot of its own. */
export class KeyValueCache {
  readonly slots: number;
  /** The most tokens of a sequence. */
  readonly capacity: number;
  /** How many places stand for no tokens. */
  readonly nothing: 0 | 1;
  readonly #config: Gpt2Config;
  readonly #buffers: readonly CacheBuffer[];
  /** Where a step puts the keys or values of one token of each slot, a buffer each. */
  readonly #steps: readonly Float32Array[];

  /**
   * @param nothing how many places, which are masked, stand for no tokens: 0, or 1 for devices that
   *   cannot take empty tensors
   */
  constructor(config: Gpt2Config, slots: number, capacity: number, nothing: 0 | 1 = 0) {
    this.slots = slots;
    this.capacity = capacity;
    this.nothing = nothing;
    this.#config = config;
    this.#buffers = range(0, config.n_layer).flatMap((layer) =>
      (['key', 'value'] as const).map((what) => ({
        past: cacheName('past_key_values', layer, what),
        prefix: cacheName('prefix', layer, what),
        present: cacheName('present', layer, what),
        values: new Float32Array(slots * capacity * config.n_embd),
      })),
    );
    this.#steps = this.#buffers.map(() => new Float32Array(slots * config.n_embd));
  }

  /**
   * Where the graph puts the keys and values of new tokens: `[rows, n_head, time, n_embd / n_head]` each.
   * For single tokens it is the same memory each time.
   */
  fresh(rows: number, time: number): HostTensors {
    const size = rows * time * this.#config.n_embd;
    return Object.fromEntries(
      this.#buffers.map(({ present }, index) => {
        const step = at(this.#steps, index);
        const values = time === 1 ? step.subarray(0, size) : new Float32Array(size);
        return [present, this.#tensor(values, rows, time)];
      }),
    );
  }

  /** The graph's inputs for a step of `count` slots from `first` on: the cache as it lies. */
  asPast(first: number, count: number): HostTensors {
    const { n_embd: width } = this.#config;
    const slot = this.capacity * width;
    const inputs: Record<string, HostTensor> = {};
    for (const { past, prefix, values } of this.#buffers) {
      inputs[past] = this.#tensor(
        values.subarray(first * slot, (first + count) * slot),
        count,
        this.capacity,
      );
      inputs[prefix] = this.#empty(count);
    }
    return inputs;
  }

  /** The graph's inputs where the first `length` tokens of one slot come before new ones. */
  asPrefix(slot: number, length: number): HostTensors {
    const { n_embd, n_head: heads } = this.#config;
    const width = n_embd / heads;
    const places = this.nothing + length;
    const inputs: Record<string, HostTensor> = {};
    for (const { past, prefix, values } of this.#buffers) {
      const rows = new Float32Array(places * n_embd);
      for (let head = 0; head < heads; head++) {
        const start = (slot * heads + head) * this.capacity * width;
        rows.set(
          values.subarray(start, start + length * width),
          (head * places + this.nothing) * width,
        );
      }
      inputs[past] = this.#empty(1);
      inputs[prefix] = this.#tensor(rows, 1, places);
    }
    return inputs;
  }

  /**
   * Stores the keys and values of new tokens.
   *
   * @param fresh what {@link fresh} gave the graph to fill
   * @param row which of its rows
   * @param time how many tokens each row has
   * @param slot where to
   * @param length how many tokens the slot holds before them
   */
  store(fresh: HostTensors, row: number, time: number, slot: number, length: number): void {
    const { n_embd, n_head: heads } = this.#config;
    const width = n_embd / heads;
    for (const { present, values } of this.#buffers) {
      const filled = floatsOf(fresh[present]);
      for (let head = 0; head < heads; head++) {
        const start = (row * heads + head) * time * width;
        values.set(
          filled.subarray(start, start + time * width),
          ((slot * heads + head) * this.capacity + length) * width,
        );
      }
    }
  }

  #empty(rows: number): HostTensor {
    return this.#tensor(
      new Float32Array(rows * this.nothing * this.#config.n_embd),
      rows,
      this.nothing,
    );
  }

  #tensor(values: Float32Array, rows: number, length: number): HostTensor {
    const { n_embd: width, n_head: heads } = this.#config;
    return float32(values, [rows, heads, length, width / heads]);
  }

  /** Copies the first `length` tokens of slot `from` to slot `to` of another cache or this one. */
  copy(from: number, to: number, length: number, target: KeyValueCache = this): void {
    const { n_embd, n_head: heads } = this.#config;
    const width = n_embd / heads;
    for (const [index, { values }] of this.#buffers.entries()) {
      const destination = at(target.#buffers, index).values;
      for (let head = 0; head < heads; head++) {
        const start = (from * heads + head) * this.capacity * width;
        destination.set(
          values.subarray(start, start + length * width),
          (to * heads + head) * target.capacity * width,
        );
      }
    }
  }

  /** Lets two slots of this many tokens change places. */
  exchange(one: number, other: number, lengthOfOne: number, lengthOfOther: number): void {
    const kept = new KeyValueCache(this.#config, 1, Math.max(lengthOfOne, 1));
    this.copy(one, 0, lengthOfOne, kept);
    this.copy(other, one, lengthOfOther);
    kept.copy(0, other, lengthOfOne, this);
  }

  /** A cache of another size with the first `lengths[slot]` tokens of each of this one's slots. */
  resized(slots: number, capacity: number, lengths: readonly number[]): KeyValueCache {
    const target = new KeyValueCache(this.#config, slots, capacity, this.nothing);
    for (const [slot, length] of lengths.entries()) this.copy(slot, slot, length, target);
    return target;
  }
}
