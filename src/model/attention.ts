import {
  add,
  CONTRIBUTED,
  type Graph,
  int,
  matmul,
  moveRows,
  reshape,
  type RowMove,
  softmax,
  split,
  squeeze,
  type Tensor,
  transpose,
} from '../graph/index.js';
import type { Gpt2Config } from './config.js';
import { type Attention, type Dropout, noDropout } from './forward.js';

/**
 * Where the tokens of a batch lie. All rows' tokens stand one after the other without padding
 * (`tokens` of them), and only attention sees them as `[batch, time]`, the rows padded at the end.
 */
export interface RaggedLayout {
  /** The flat token at each place of the padded form; 0 at padding: `int64 [batch, time]`. */
  readonly padded: Tensor;
  /** The same as a list: `int64 [batch·time]`. */
  readonly paddedList: Tensor;
  /** The place of each flat token in the padded form: `int64 [tokens]`. */
  readonly flat: Tensor;
  /** 1 where the padded form holds a token, 0 at padding: `[batch·time, 1]`. */
  readonly present: Tensor;
  /** 0 where a place may be looked at, a large negative number where not: `[time, time]`. */
  readonly mask: Tensor;
}

/** Declares the inputs of a ragged batch. */
export function raggedLayoutInputs(graph: Graph): RaggedLayout {
  return {
    padded: graph.input('padded', 'int64', ['batch', 'time']),
    paddedList: graph.input('padded_list', 'int64', ['batch·time']),
    flat: graph.input('flat', 'int64', ['tokens']),
    present: graph.input('present', 'float32', ['batch·time', 1]),
    mask: graph.input('mask', 'float32', ['time', 'time']),
  };
}

/** Causal self-attention over a ragged batch, differentiable. */
export function raggedAttention(
  config: Gpt2Config,
  layout: RaggedLayout,
  drop: Dropout = noDropout,
): Attention {
  const heads = config.n_head;
  const width = config.n_embd / heads;
  const pad: RowMove = { rows: layout.padded, origins: layout.flat };
  const unpad: RowMove = {
    rows: layout.flat,
    origins: layout.paddedList,
    present: layout.present,
  };
  return (queriesKeysValues) => {
    const padded = moveRows(queriesKeysValues, pad);
    const byHead = transpose(reshape(padded, ['batch', 'time', 3, heads, width]), [2, 0, 3, 1, 4]);
    const [queries, keys, values] = split(byHead, 0, 3).map((part) => squeeze(part, 0));
    if (queries === undefined || keys === undefined || values === undefined) {
      throw new Error('Queries, keys and values did not come apart.');
    }
    const alpha = 1 / Math.sqrt(width);
    const scores = add(matmul(queries, keys, { transposeB: true, alpha }), layout.mask);
    const weights = drop(softmax(scores), config.attn_pdrop);
    const gathered = transpose(matmul(weights, values), [0, 2, 1, 3]);
    return moveRows(reshape(gathered, ['batch·time', config.n_embd]), unpad);
  };
}

/** The inputs of cached attention besides the past keys and values. */
export interface CacheLayout {
  /** For each row, how many tokens it has with the new ones, less one: `int32 [batch]`. */
  readonly lastPositions: Tensor;
  /** The largest of these lengths: `int32`, a scalar. */
  readonly totalLength: Tensor;
}

/** Declares the inputs of cached attention. */
export function cacheLayoutInputs(graph: Graph): CacheLayout {
  return {
    lastPositions: graph.input('last_positions', 'int32', ['batch']),
    totalLength: graph.input('total_length', 'int32', []),
  };
}

/** The name of a layer's past or present keys or values, as Hugging Face's ONNX exports have it. */
export function cacheName(
  when: 'past_key_values' | 'present',
  layer: number,
  what: 'key' | 'value',
): string {
  return `${when}.${layer}.${what}`;
}

/**
 * Causal self-attention with the keys and values of earlier tokens in a cache of fixed capacity,
 * `[batch, n_head, capacity, n_embd / n_head]` for each layer. Declares the past as inputs and the
 * present as outputs; give both the same memory and the new keys and values are written in place.
 * With more than one new token, a row's past must be empty or the batch be of one row.
 */
export function cachedAttention(graph: Graph, config: Gpt2Config, layout: CacheLayout): Attention {
  const shape = ['batch', config.n_head, 'capacity', config.n_embd / config.n_head];
  return (queriesKeysValues, layer) => {
    const pastKeys = graph.input(cacheName('past_key_values', layer, 'key'), 'float32', shape);
    const pastValues = graph.input(cacheName('past_key_values', layer, 'value'), 'float32', shape);
    const [gathered, keys, values] = graph.node(
      'GroupQueryAttention',
      [
        queriesKeysValues,
        undefined,
        undefined,
        pastKeys,
        pastValues,
        layout.lastPositions,
        layout.totalLength,
      ],
      [
        { type: 'float32', shape: queriesKeysValues.shape.with(-1, config.n_embd) },
        pastKeys,
        pastValues,
      ],
      { num_heads: int(config.n_head), kv_num_heads: int(config.n_head) },
      CONTRIBUTED,
    );
    if (gathered === undefined || keys === undefined || values === undefined) {
      throw new Error('Cached attention has three outputs.');
    }
    graph.output(cacheName('present', layer, 'key'), keys);
    graph.output(cacheName('present', layer, 'value'), values);
    return gathered;
  };
}
