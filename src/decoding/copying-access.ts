import { at } from '../base/arrays.js';
import { cachedAttention, cacheName } from '../model/index.js';
import { type Device, float32, floatsOf, type HostTensors, int64 } from '../runtime/portable.js';
import type { CacheAccess, CacheRun, KeyValueCache } from './cache.js';

/** Added to the attention scores of places that may not be looked at. */
const HIDDEN = -1e9;

/**
 * The graph puts out the keys and values of new tokens, and they are copied into the cache. It sees the
 * cache as it lies, with a mask over the places that hold nothing.
 */
export function copyingAccess(device: Device): CacheAccess {
  // WebGPU takes no empty tensors: one masked place stands for no tokens there.
  const nothing = device === 'webgpu' ? 1 : 0;
  return {
    attention: cachedAttention,
    tensors: (cache, run) => tensorsOf(cache, run, nothing),
    keep,
  };
}

function tensorsOf(
  cache: KeyValueCache,
  { first, known, time }: CacheRun,
  nothing: 0 | 1,
): ReturnType<CacheAccess['tensors']> {
  const { n_embd, n_head: heads } = cache.config;
  const rows = known.length;
  const isStart = known.every((length) => length === 0);
  const capacity = isStart ? nothing : cache.capacity;
  const places = capacity + time;
  return {
    inputs: {
      ...(isStart
        ? cache.named('past_key_values', () =>
            cache.tensor(new Float32Array(rows * capacity * n_embd), rows, capacity),
          )
        : cache.tensors('past_key_values', first, rows)),
      mask: float32(causalMask(known, capacity, time), [rows, 1, time, places]),
      heads: int64([rows, time, 3 * heads, n_embd / heads], [4]),
      widths: int64([capacity, time], [2]),
    },
    outputs: cache.named('present', () =>
      cache.tensor(new Float32Array(rows * time * n_embd), rows, time),
    ),
  };
}

function keep(
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
          ((slot * heads + head) * cache.capacity + at(known, row)) * width,
        );
      }
    }
  }
}

/**
 * 0 where new tokens may look: each row's at the `known` places of its past, and at new ones not after
 * themselves. `[rows, 1, time, capacity + time]`
 */
function causalMask(known: readonly number[], capacity: number, time: number): Float32Array {
  const places = capacity + time;
  const mask = new Float32Array(known.length * time * places).fill(HIDDEN);
  for (const [row, length] of known.entries()) {
    for (let token = 0; token < time; token++) {
      const start = (row * time + token) * places;
      mask.fill(0, start, start + length);
      mask.fill(0, start + capacity, start + capacity + token + 1);
    }
  }
  return mask;
}
