import { at, range } from '../base/arrays.js';
import { type Attention, cacheName, type Gpt2Config } from '../model/index.js';
import type { Graph } from '../graph/index.js';
import { float32, type HostTensor, type HostTensors } from '../runtime/portable.js';

/** The keys or the values of one layer. */
export interface CacheBuffer {
  readonly layer: number;
  readonly what: 'key' | 'value';
  /** `[slots, n_head, capacity, n_embd / n_head]` */
  readonly values: Float32Array;
}

/** The keys and values of several sequences, each in a slot of its own. */
export class KeyValueCache {
  readonly slots: number;
  /** The most tokens of a sequence. */
  readonly capacity: number;
  readonly config: Gpt2Config;
  readonly buffers: readonly CacheBuffer[];

  constructor(config: Gpt2Config, slots: number, capacity: number) {
    this.slots = slots;
    this.capacity = capacity;
    this.config = config;
    this.buffers = range(0, config.n_layer).flatMap((layer) =>
      (['key', 'value'] as const).map((what) => ({
        layer,
        what,
        values: new Float32Array(slots * capacity * config.n_embd),
      })),
    );
  }

  /**
   * The keys and values of `count` slots from `first` on as they lie, under names as
   * `past_key_values.0.key`: `[count, n_head, capacity, n_embd / n_head]` each.
   */
  tensors(when: 'past_key_values' | 'present', first: number, count: number): HostTensors {
    const slot = this.capacity * this.config.n_embd;
    return this.named(when, ({ values }) =>
      this.tensor(values.subarray(first * slot, (first + count) * slot), count, this.capacity),
    );
  }

  /** A tensor for each buffer, by the name that it has in the graph. */
  named(
    when: Parameters<typeof cacheName>[0],
    tensorOf: (buffer: CacheBuffer) => HostTensor,
  ): HostTensors {
    return Object.fromEntries(
      this.buffers.map((buffer) => [cacheName(when, buffer.layer, buffer.what), tensorOf(buffer)]),
    );
  }

  /** Keys or values of so many rows and tokens. */
  tensor(values: Float32Array, rows: number, tokens: number): HostTensor {
    const { n_embd, n_head: heads } = this.config;
    return float32(values, [rows, heads, tokens, n_embd / heads]);
  }

  /** Copies the first `length` tokens of slot `from` to slot `to` of another cache or this one. */
  copy(from: number, to: number, length: number, target: KeyValueCache = this): void {
    const { n_embd, n_head: heads } = this.config;
    const width = n_embd / heads;
    for (const [index, { values }] of this.buffers.entries()) {
      const destination = at(target.buffers, index).values;
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
    const kept = new KeyValueCache(this.config, 1, Math.max(lengthOfOne, 1));
    this.copy(one, 0, lengthOfOne, kept);
    this.copy(other, one, lengthOfOther);
    kept.copy(0, other, lengthOfOne, this);
  }

  /** A cache of another size with the first `lengths[slot]` tokens of each of this one's slots. */
  resized(slots: number, capacity: number, lengths: readonly number[]): KeyValueCache {
    const target = new KeyValueCache(this.config, slots, capacity);
    for (const [slot, length] of lengths.entries()) this.copy(slot, slot, length, target);
    return target;
  }
}

/** What a run of the graph reads: equally many new tokens in slots side by side. */
export interface CacheRun {
  readonly first: number;
  /** How many tokens each of the slots holds before. */
  readonly known: readonly number[];
  /** How many tokens each of them reads: several in one slot, or one in each of several. */
  readonly time: number;
}

/** How a graph looks at the tokens of a {@link KeyValueCache} and adds to it. */
export interface CacheAccess {
  /** Attention that does so: its inputs and outputs are those of {@link CacheAccess.tensors}. */
  readonly attention: (graph: Graph, config: Gpt2Config) => Attention;
  /** What attention is fed with for a run, and where it puts its outputs. */
  tensors(
    cache: KeyValueCache,
    run: CacheRun,
  ): { readonly inputs: HostTensors; readonly outputs: HostTensors };
  /** Takes what the outputs hold after a run into the cache, for these of its slots. */
  keep(cache: KeyValueCache, run: CacheRun, outputs: HostTensors, slots: readonly number[]): void;
}
