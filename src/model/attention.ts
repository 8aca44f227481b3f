import { at } from '../base/arrays.js';
import {
  add,
  cast,
  CONTRIBUTED,
  type Graph,
  int,
  matmul,
  moveRows,
  multiply,
  reshape,
  type RowMove,
  softmax,
  split,
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
  const pad: RowMove = { rows: layout.padded, origins: layout.flat };
  const unpad: RowMove = {
    rows: layout.flat,
    origins: layout.paddedList,
    present: layout.present,
  };
  return (queriesKeysValues) => {
    const padded = moveRows(queriesKeysValues, pad);
    const { queries, keys, values } = splitHeads(padded, config);
    const scores = matmul(queries, keys, { transposeB: true, alpha: scoreScale(config) });
    const products = cast(scores, layout.mask.type);
    const shares = cast(softmax(add(products, layout.mask)), values.type);
    const weights = drop(shares, config.attn_pdrop);
    const gathered = transpose(matmul(weights, values), [0, 2, 1, 3]);
    return moveRows(reshape(gathered, ['batch·time', config.n_embd]), unpad);
  };
}

/** The name of a layer's keys or values; of the past and the present as in Hugging Face's exports. */
export function cacheName(
  when: 'past_key_values' | 'present',
  layer: number,
  what: 'key' | 'value',
): string {
  return `${when}.${layer}.${what}`;
}

/**
 * Causal self-attention of new tokens that also look at earlier ones, by ONNX Runtime's
 * `GroupQueryAttention`. For each layer, it declares the keys and values of all tokens as inputs
 * (`past_key_values`: `[batch, n_head, capacity, n_embd / n_head]`) and as outputs (`present`), which at
 * run time must be the same memory: those of the new tokens are written where they belong, and nothing
 * else is touched. Rows may be of different lengths where each reads one token; several at a time are
 * read in one row.
 *
 * Three further inputs: `seqlens_k` (`int32 [batch]`: how many tokens come before each row's last),
 * `total_sequence_length` (`int32`: the tokens of the longest row) and `rows` (`int64 [3]`: batch, time,
 * 3 n_embd).
 */
export function inPlaceAttention(graph: Graph, config: Gpt2Config): Attention {
  const { n_head: heads, n_embd } = config;
  const lengths = graph.input('seqlens_k', 'int32', ['batch']);
  const longest = graph.input('total_sequence_length', 'int32', []);
  const rows = graph.input('rows', 'int64', [3]);
  return (queriesKeysValues, layer) => {
    const shape = ['batch', 'time', 3 * n_embd];
    const cut = only(
      graph.node('Reshape', [queriesKeysValues, rows], [{ type: 'float32', shape }]),
    );
    const cache = { type: 'float32', shape: ['batch', heads, 'capacity', n_embd / heads] } as const;
    const [key, value] = (['key', 'value'] as const).map((what) =>
      graph.input(cacheName('past_key_values', layer, what), cache.type, cache.shape),
    );
    const [gathered, ...present] = graph.node(
      'GroupQueryAttention',
      [cut, undefined, undefined, key, value, lengths, longest],
      [{ type: 'float32', shape: ['batch', 'time', n_embd] }, cache, cache],
      { num_heads: int(heads), kv_num_heads: int(heads) },
      CONTRIBUTED,
    );
    for (const [index, what] of (['key', 'value'] as const).entries()) {
      graph.output(cacheName('present', layer, what), at(present, index));
    }
    if (gathered === undefined) throw new Error('Attention gathered nothing.');
    return reshape(gathered, ['batch·time', n_embd]);
  };
}

/**
 * The same by other operators, for devices and builds of ONNX Runtime that cannot write into what they
 * read. For each layer, it declares as inputs the keys and values of earlier tokens as they lie in the
 * cache, with places that hold nothing yet (`past_key_values`: `[batch, n_head, capacity, n_embd / n_head]`),
 * and puts out those of the new ones (`present`: `[batch, n_head, time, n_embd / n_head]`).
 *
 * `mask` (`[batch, 1, time, capacity + time]`) tells what may be seen of either. Two further inputs
 * say how the flat tokens are cut: `heads` (`int64 [4]`: batch, time, 3 n_head, n_embd / n_head) and
 * `widths` (`int64 [2]`: capacity, time).
 */
export function cachedAttention(graph: Graph, config: Gpt2Config): Attention {
  const { n_head: heads, n_embd } = config;
  const width = n_embd / heads;
  const mask = graph.input('mask', 'float32', ['batch', 1, 'time', 'places']);
  const headShape = graph.input('heads', 'int64', [4]);
  const widths = graph.input('widths', 'int64', [2]);
  // For one query, a product with a factor takes three times as long as without. ONNX Runtime would
  // make a product and a scaling by one number into that, so each component is scaled by its own.
  const scales = graph.floats(new Float32Array(width).fill(scoreScale(config)));
  return (queriesKeysValues, layer) => {
    const shape = ['batch', 'time', 3 * heads, width];
    const apart = only(
      graph.node('Reshape', [queriesKeysValues, headShape], [{ type: 'float32', shape }]),
    );
    const fresh = headByHead(apart);
    const past = (what: 'key' | 'value') => {
      const name = cacheName('past_key_values', layer, what);
      return graph.input(name, 'float32', ['batch', heads, 'capacity', width]);
    };
    const [pastKeys, pastValues] = [past('key'), past('value')];
    graph.output(cacheName('present', layer, 'key'), fresh.keys);
    graph.output(cacheName('present', layer, 'value'), fresh.values);
    const queries = multiply(fresh.queries, scales);
    const scores = join(
      matmul(queries, pastKeys, { transposeB: true }),
      matmul(queries, fresh.keys, { transposeB: true }),
      3,
      'places',
    );
    const [pastWeights, freshWeights] = graph.node(
      'Split',
      [softmax(add(scores, mask)), widths],
      ['capacity', 'time'].map((places) => ({
        type: 'float32',
        shape: ['batch', heads, 'time', places],
      })),
      { axis: int(-1) },
    );
    if (pastWeights === undefined || freshWeights === undefined) {
      throw new Error('Weights of the past and of new tokens did not come apart.');
    }
    const gathered = add(matmul(pastWeights, pastValues), matmul(freshWeights, fresh.values));
    return reshape(transpose(gathered, [0, 2, 1, 3]), ['batch·time', n_embd]);
  };
}

/** Two tensors end to end along an axis, whose length is then called `length`. */
function join(first: Tensor, second: Tensor, axis: number, length: string): Tensor {
  const { graph, type } = first;
  const output = { type, shape: first.shape.with(axis, length) };
  return only(graph.node('Concat', [first, second], [output], { axis: int(axis) }));
}

interface KeysAndValues {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Queries, keys and values side by side, `[batch, time, 3 n_embd]`, apart and head by head. */
function splitHeads(
  queriesKeysValues: Tensor,
  config: Gpt2Config,
): KeysAndValues & { readonly queries: Tensor } {
  const heads = config.n_head;
  const shape = ['batch', 'time', 3 * heads, config.n_embd / heads];
  return headByHead(reshape(queriesKeysValues, shape));
}

/** `[batch, time, 3 n_head, width]` as three tensors `[batch, n_head, time, width]`. */
function headByHead(x: Tensor): KeysAndValues & { readonly queries: Tensor } {
  const [queries, keys, values] = split(transpose(x, [0, 2, 1, 3]), 1, 3);
  if (queries === undefined || keys === undefined || values === undefined) {
    throw new Error('Queries, keys and values did not come apart.');
  }
  return { queries, keys, values };
}

/** What the products of queries and keys are multiplied by. */
function scoreScale(config: Gpt2Config): number {
  return 1 / Math.sqrt(config.n_embd / config.n_head);
}

function only(tensors: readonly Tensor[]): Tensor {
  const [tensor] = tensors;
  if (tensor === undefined) throw new Error('A node of one output made none.');
  return tensor;
}
