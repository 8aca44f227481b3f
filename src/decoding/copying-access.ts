import { cachedAttention, cacheName } from '../model/index.js';
import { type Device, float32, floatsOf, type HostTensors, int64 } from '../runtime/portable.js';
import type { CacheAccess, CacheRun, KeyValueCache } from './cache.js';

/** Added to the attention scores of places that may not be looked at. */
const HIDDEN = -1e9;

/**
 * The graph puts out the keys and values of new tokens, and they are copied into the cache. Several
 * new tokens of one row see the earlier ones laid end to end with themselves (`prefix`); single tokens
 * of several rows see the cache as it lies, with a mask (`past_key_values`).
 */
class CopyingAccess implements CacheAccess {
  readonly attention = cachedAttention;
  readonly #nothing: 0 | 1;

  /**
   * @param nothing how many places, which are masked, stand for no tokens: 0, or 1 for devices that
   *   cannot take empty tensors
   */
  constructor(nothing: 0 | 1) {
    this.#nothing = nothing;
  }

  tensors(cache: KeyValueCache, run: CacheRun): ReturnType<CacheAccess['tensors']> {
    const { n_embd, n_head: heads } = cache.config;
    const { known, time } = run;
    const rows = known.length;
    return {
      inputs: {
        ...(time === 1 ? this.#masked(cache, run) : this.#prefixed(cache, run)),
        heads: int64([rows, time, 3 * heads, n_embd / heads], [4]),
      },
      outputs: cache.named('present', () =>
        cache.tensor(new Float32Array(rows * time * n_embd), rows, time),
      ),
    };
  }

  keep(
    cache: KeyValueCache,
    { first, known, time }: CacheRun,
    outputs: HostTensors,
    slots: readonly number[],
  ): void {
    const { n_embd, n_head: heads } = cache.config;
    const width = n_embd / heads;
    for (const { layer, what, values } of cache.buffers) {
      const fresh = floatsOf(outputs[cacheName('present', layer, what)]);
      for (const slot of slots) {
        const row = slot - first;
        for (let head = 0; head < heads; head++) {
          const start = (row * heads + head) * time * width;
          values.set(
            fresh.subarray(start, start + time * width),
            ((slot * heads + head) * cache.capacity + (known[row] ?? 0)) * width,
          );
        }
      }
    }
  }

  /** New tokens of one slot after those that it holds, end to end. */
  #prefixed(cache: KeyValueCache, { first, known: [known = 0], time }: CacheRun): HostTensors {
    const { n_embd, n_head: heads } = cache.config;
    const width = n_embd / heads;
    const places = this.#nothing + known;
    const keys = places + time;
    return {
      ...cache.named('past_key_values', () => this.#empty(cache, 1)),
      ...cache.named('prefix', ({ values }) => {
        const rows = new Float32Array(places * n_embd);
        for (let head = 0; head < heads; head++) {
          const start = (first * heads + head) * cache.capacity * width;
          rows.set(
            values.subarray(start, start + known * width),
            (head * places + this.#nothing) * width,
          );
        }
        return cache.tensor(rows, 1, places);
      }),
      mask: float32(causalMask(time, known, 2 * this.#nothing), [1, 1, time, this.#nothing + keys]),
      widths: int64([this.#nothing, keys], [2]),
    };
  }

  /** One new token of each of several slots. */
  #masked(cache: KeyValueCache, { first, known }: CacheRun): HostTensors {
    const rows = known.length;
    const keys = this.#nothing + 1;
    const places = cache.capacity + keys;
    const mask = new Float32Array(rows * places).fill(HIDDEN);
    for (const [row, length] of known.entries()) {
      mask.fill(0, row * places, row * places + length);
      mask[(row + 1) * places - 1] = 0;
    }
    return {
      ...cache.tensors('past_key_values', first, rows),
      ...cache.named('prefix', () => this.#empty(cache, rows)),
      mask: float32(mask, [rows, 1, 1, places]),
      widths: int64([cache.capacity, keys], [2]),
    };
  }

  #empty(cache: KeyValueCache, rows: number): ReturnType<KeyValueCache['tensor']> {
    const values = new Float32Array(rows * this.#nothing * cache.config.n_embd);
    return cache.tensor(values, rows, this.#nothing);
  }
}

/**
 * 0 where one of `time` new tokens may look: at all `known` ones, and at new ones not after it. The
 * first `hidden` places are for nobody.
 */
function causalMask(time: number, known: number, hidden: number): Float32Array {
  const keys = hidden + known + time;
  const mask = new Float32Array(time * keys);
  for (let row = 0; row < time; row++) {
    mask.fill(HIDDEN, row * keys, row * keys + hidden);
    mask.fill(HIDDEN, row * keys + hidden + known + row + 1, (row + 1) * keys);
  }
  return mask;
}

/** For graphs on this device. WebGPU takes no empty tensors. */
export function copyingAccess(device: Device): CacheAccess {
  return new CopyingAccess(device === 'webgpu' ? 1 : 0);
}
