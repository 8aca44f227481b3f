import { inPlaceAttention } from '../model/index.js';
import { int32, int64 } from '../runtime/portable.js';
import type { CacheAccess } from './cache.js';

/**
 * Keys and values of new tokens are written into the cache by the graph itself, and each row looks at
 * its own tokens alone. For sessions that write outputs into the memory they are given.
 */
export const inPlaceAccess: CacheAccess = {
  attention: inPlaceAttention,

  tensors(cache, { first, known, time }) {
    const rows = known.length;
    return {
      inputs: {
        ...cache.tensors('past_key_values', first, rows),
        seqlens_k: int32(
          known.map((length) => length + time - 1),
          [rows],
        ),
        total_sequence_length: int32([Math.max(...known) + time], []),
        rows: int64([rows, time, 3 * cache.config.n_embd], [3]),
      },
      outputs: cache.tensors('present', first, rows),
    };
  },

  keep() {
    // It has been written already.
  },
};
