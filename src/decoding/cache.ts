import { at, range } from '../base/arrays.js';
import { cacheName, type Gpt2Config } from '../model/index.js';
import { float32, type HostTensor, type HostTensors } from '../runtime/index.js';

/** The keys or the values of one layer. */
interface CacheBuffer {
  readonly past: string;
  readonly present: string;
  /** `[slots, n_head, capacity, n_embd / n_head]` */
  readonly values: Float32Array;
}

/** The keys and values of several sequences, each in a slot of its own. */
export class KeyValueCache {
  readonly slots: number;
  /** The most tokens of a sequence. */
  readonly capacity: number;
  readonly #config: Gpt2Config;
  readonly #buffers: readonly CacheBuffer[];

  constructor(config: Gpt2Config, slots: number, capacity: number) {
    this.slots = slots;
    this.capacity = capacity;
    this.#config = config;
    this.#buffers = range(0, config.n_layer).flatMap((layer) =>
      (['key', 'value'] as const).map((what) => ({
        past: cacheName('past_key_values', layer, what),
        present: cacheName('present', layer, what),
        values: new Float32Array(slots * capacity * config.n_embd),
      })),
    );
  }

  /** The graph's inputs, and its outputs in the same memory, for `count` slots from `first` on. */
  tensors(
    first: number,
    count: number,
  ): { readonly past: HostTensors; readonly present: HostTensors } {
    const { n_embd: width, n_head: heads } = this.#config;
    const slot = this.capacity * width;
    const past: Record<string, HostTensor> = {};
    const present: Record<string, HostTensor> = {};
    for (const buffer of this.#buffers) {
      const values = buffer.values.subarray(first * slot, (first + count) * slot);
      const tensor = float32(values, [count, heads, this.capacity, width / heads]);
      past[buffer.past] = tensor;
      present[buffer.present] = tensor;
    }
    return { past, present };
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

  /** A cache of another size with the first `lengths[slot]` tokens of each of this one's slots. */
  resized(slots: number, capacity: number, lengths: readonly number[]): KeyValueCache {
    const target = new KeyValueCache(this.#config, slots, capacity);
    for (const [slot, length] of lengths.entries()) this.copy(slot, slot, length, target);
    return target;
  }
}
