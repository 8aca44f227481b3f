import {
  add,
  CONTRIBUTED,
  expandLike,
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
  unsqueeze,
  where,
} from '../graph/index.js';
import type { Gpt2Config } from './config.js';
import { type Attention, type Dropout, noDropout } from './forward.js';

/** Added to the attention scores of places that may not be looked at. */
const HIDDEN = -1e9;

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
  const pad: RowMove = { rows: layout.padded, origins: layout.flat };
  const unpad: RowMove = {
    rows: layout.flat,
    origins: layout.paddedList,
    present: layout.present,
  };
  return (queriesKeysValues) => {
    const padded = moveRows(queriesKeysValues, pad);
    const { queries, keys, values } = splitHeads(padded, config);
    const scores = add(scaledProducts(queries, keys, config), layout.mask);
    const weights = drop(softmax(scores), config.attn_pdrop);
    const gathered = transpose(matmul(weights, values), [0, 2, 1, 3]);
    return moveRows(reshape(gathered, ['batch·time', config.n_embd]), unpad);
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
 *
 * A graph with fused operators has two further inputs: `last_positions` (`int32 [batch]`: for each
 * row, how many tokens it has with the new ones, less one) and `total_length` (`int32`: the largest
 * of these lengths). With more than one new token, a row's past must be empty or the batch be of
 * one row.
 *
 * @param positions the place of each new token in its row: `int64 [batch, time]`; padding after a
 *   row's end counts on
 */
export function cachedAttention(graph: Graph, config: Gpt2Config, positions: Tensor): Attention {
  return graph.fused
    ? fusedCachedAttention(graph, config)
    : standardCachedAttention(graph, config, positions);
}

function fusedCachedAttention(graph: Graph, config: Gpt2Config): Attention {
  const lastPositions = graph.input('last_positions', 'int32', ['batch']);
  const totalLength = graph.input('total_length', 'int32', []);
  return (queriesKeysValues, layer) => {
    const past = pastInputs(graph, config, layer);
    const [gathered, keys, values] = graph.node(
      'GroupQueryAttention',
      [queriesKeysValues, undefined, undefined, past.keys, past.values, lastPositions, totalLength],
      [
        { type: 'float32', shape: queriesKeysValues.shape.with(-1, config.n_embd) },
        past.keys,
        past.values,
      ],
      { num_heads: int(config.n_head), kv_num_heads: int(config.n_head) },
      CONTRIBUTED,
    );
    if (gathered === undefined || keys === undefined || values === undefined) {
      throw new Error('Cached attention has three outputs.');
    }
    outputPresent(graph, layer, { keys, values });
    return gathered;
  };
}

/**
 * The same of standard operators. ONNX Runtime's WebGPU provider has `GroupQueryAttention` too, but
 * its flash attention gives wrong numbers when the past and the present are not the same memory on
 * the device, as with tensors that are fed from the host.
 */
function standardCachedAttention(graph: Graph, config: Gpt2Config, positions: Tensor): Attention {
  const here = unsqueeze(unsqueeze(positions, 1), -1);
  let mask: Tensor | undefined;
  return (queriesKeysValues, layer) => {
    const past = pastInputs(graph, config, layer);
    const { queries, keys: newKeys, values: newValues } = splitHeads(queriesKeysValues, config);
    const places = expandLike(here, newKeys);
    const keys = writeRows(past.keys, places, newKeys);
    const values = writeRows(past.values, places, newValues);
    outputPresent(graph, layer, { keys, values });
    mask ??= cacheMask(past.keys, here);
    const scores = add(scaledProducts(queries, keys, config), mask);
    const gathered = transpose(matmul(softmax(scores), values), [0, 2, 1, 3]);
    return reshape(gathered, ['batch', 'time', config.n_embd]);
  };
}

/** 0 where a place of the cache is not after the token that looks, else a large negative number. */
function cacheMask(cache: Tensor, here: Tensor): Tensor {
  const { graph } = cache;
  const length = only(
    graph.node('Shape', [cache], [{ type: 'int64', shape: [1] }], { start: int(2), end: int(3) }),
  );
  const places = only(
    graph.node(
      'Range',
      [graph.integers([0]), length, graph.integers([1])].map((bound) => squeeze(bound, 0)),
      [{ type: 'int64', shape: ['capacity'] }],
    ),
  );
  const visible = only(
    graph.node(
      'LessOrEqual',
      [places, here],
      [{ type: 'bool', shape: here.shape.with(-1, 'capacity') }],
    ),
  );
  return where(visible, graph.scalar(0), graph.scalar(HIDDEN));
}

/** `cache` with `rows` of each head at `places` (`[batch, n_head, time, width]`). */
function writeRows(cache: Tensor, places: Tensor, rows: Tensor): Tensor {
  return only(
    cache.graph.node('ScatterElements', [cache, places, rows], [cache], { axis: int(2) }),
  );
}

interface KeysAndValues {
  readonly keys: Tensor;
  readonly values: Tensor;
}

function pastInputs(graph: Graph, config: Gpt2Config, layer: number): KeysAndValues {
  const shape = ['batch', config.n_head, 'capacity', config.n_embd / config.n_head];
  return {
    keys: graph.input(cacheName('past_key_values', layer, 'key'), 'float32', shape),
    values: graph.input(cacheName('past_key_values', layer, 'value'), 'float32', shape),
  };
}

function outputPresent(graph: Graph, layer: number, { keys, values }: KeysAndValues): void {
  graph.output(cacheName('present', layer, 'key'), keys);
  graph.output(cacheName('present', layer, 'value'), values);
}

/** Queries, keys and values side by side, `[batch, time, 3 n_embd]`, apart and head by head. */
function splitHeads(
  queriesKeysValues: Tensor,
  config: Gpt2Config,
): KeysAndValues & { readonly queries: Tensor } {
  const heads = config.n_head;
  const shape = ['batch', 'time', 3, heads, config.n_embd / heads];
  const byHead = transpose(reshape(queriesKeysValues, shape), [2, 0, 3, 1, 4]);
  const [queries, keys, values] = split(byHead, 0, 3).map((part) => squeeze(part, 0));
  if (queries === undefined || keys === undefined || values === undefined) {
    throw new Error('Queries, keys and values did not come apart.');
  }
  return { queries, keys, values };
}

/** How much each query asks for each key, before masking: `[batch, n_head, time, keys]`. */
function scaledProducts(queries: Tensor, keys: Tensor, config: Gpt2Config): Tensor {
  const alpha = 1 / Math.sqrt(config.n_embd / config.n_head);
  return matmul(queries, keys, { transposeB: true, alpha });
}

function only(tensors: readonly Tensor[]): Tensor {
  const [tensor] = tensors;
  if (tensor === undefined) throw new Error('A node of one output made none.');
  return tensor;
}
