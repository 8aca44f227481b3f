import {
  add,
  cast,
  type Dimension,
  Graph,
  int,
  ints,
  matmul,
  reshape,
  type Shape,
  softmax,
  split,
  squeeze,
  type Tensor,
  transpose,
  unsqueeze,
  where,
} from '../graph/index.js';
import {
  type Attention,
  cacheName,
  forward,
  type Gpt2Config,
  type ParameterTensors,
  TOKEN_EMBEDDING,
} from '../model/index.js';

/** The lowest 32-bit number: what PyTorch puts in place of masked attention scores. */
const LOWEST = -3.4028234663852886e38;

/**
 * GPT-2 as a graph with past keys and values, with the inputs and outputs that `transformers.js`
 * and Optimum give decoders: `input_ids`, `attention_mask`, `position_ids` (all `int64`) and
 * `past_key_values.N.key|value` (`[batch, n_head, past, width]`, possibly empty) in; `logits` and
 * `present.N.key|value` out. Standard operators only, so that it runs in a browser too.
 *
 * @param declare makes the tensors of the parameters in the graph.
 */
export function decoderGraph(
  config: Gpt2Config,
  declare: (graph: Graph) => ParameterTensors,
): Graph {
  const graph = new Graph({ fused: false });
  const ids = graph.input('input_ids', 'int64', ['batch', 'sequence']);
  const mask = graph.input('attention_mask', 'int64', ['batch', 'total']);
  const positions = graph.input('position_ids', 'int64', ['batch', 'sequence']);
  const parameter = declare(graph);
  // Everything but attention treats tokens alone, so they stand in one list.
  const tokens = {
    ids: reshape(ids, ['tokens']),
    positions: reshape(positions, ['tokens']),
  };
  const masked = where(allowedKeys(graph, ids, mask), graph.scalar(0), graph.scalar(LOWEST));
  const hidden = forward(config, parameter, tokens, pastAttention(graph, config, ids, masked));
  const flat = matmul(hidden, parameter(TOKEN_EMBEDDING), { transposeB: true });
  const shape = ['batch', 'sequence', config.vocab_size];
  graph.output('logits', unfold(flat, ids, shape));
  return graph;
}

/**
 * A ranking model as a graph with the inputs and the output that `transformers` gives models that
 * classify sequences: `input_ids` and `attention_mask` (`int64 [batch, sequence]`, 0 at padding on
 * either side) in; `logits` (`[batch, 1]`), the head at each row's last token, out. DialogRPT's
 * score is their sigmoid.
 *
 * @param declare makes the tensors of the parameters in the graph.
 * @param declareHead makes the ranking head, `[1, n_embd]`.
 */
export function rankerGraph(
  config: Gpt2Config,
  declare: (graph: Graph) => ParameterTensors,
  declareHead: (graph: Graph) => Tensor,
): Graph {
  const graph = new Graph({ fused: false });
  const rows = ['batch', 'sequence'];
  const ids = graph.input('input_ids', 'int64', rows);
  const mask = graph.input('attention_mask', 'int64', rows);
  const parameter = declare(graph);
  const integers = { type: 'int64', shape: rows } as const;
  const one = squeeze(graph.integers([1]), 0);
  const seen = onlyOutput(graph.node('CumSum', [mask, one], [integers]));
  const positions = onlyOutput(
    graph.node('Mul', [mask, onlyOutput(graph.node('Sub', [seen, one], [integers]))], [integers]),
  );
  const tokens = { ids: reshape(ids, ['tokens']), positions: reshape(positions, ['tokens']) };
  const masked = where(allowedKeys(graph, ids, mask), graph.scalar(0), graph.scalar(LOWEST));
  const hidden = forward(config, parameter, tokens, maskedAttention(config, ids, masked));
  const flat = matmul(hidden, declareHead(graph), { transposeB: true });
  const scores = squeeze(unfold(flat, ids, [...rows, 1]), 2);
  // The last present token has the highest place among those that are not masked to 0.
  const places = onlyOutput(graph.node('Mul', [mask, seen], [integers]));
  const last = onlyOutput(
    graph.node('ArgMax', [cast(places, 'float32')], [{ type: 'int64', shape: ['batch', 1] }], {
      axis: int(1),
      keepdims: int(1),
    }),
  );
  const output = { type: scores.type, shape: ['batch', 1] };
  const logits = onlyOutput(
    graph.node('GatherElements', [scores, last], [output], { axis: int(1) }),
  );
  graph.output('logits', logits);
  return graph;
}

/** The output of a node that has one. */
export function onlyOutput(outputs: readonly Tensor[]): Tensor {
  const [output] = outputs;
  if (output === undefined) throw new Error('A node of one output made none.');
  return output;
}

/** `flat` (`[tokens, …]`) with the batch and sequence of `ids` in place of its first dimension. */
function unfold(flat: Tensor, ids: Tensor, shape: Shape): Tensor {
  const { graph } = flat;
  const rest = shape.slice(2).map(Number);
  const leading = onlyOutput(graph.node('Shape', [ids], [{ type: 'int64', shape: [2] }]));
  const vector = onlyOutput(
    graph.node(
      'Concat',
      [leading, graph.integers(rest)],
      [{ type: 'int64', shape: [shape.length] }],
      { axis: int(0) },
    ),
  );
  return onlyOutput(graph.node('Reshape', [flat, vector], [{ type: flat.type, shape }]));
}

/** How long `x` is along its second dimension: a scalar. */
function secondLength(x: Tensor): Tensor {
  const vector = onlyOutput(
    x.graph.node('Shape', [x], [{ type: 'int64', shape: [1] }], { start: int(1), end: int(2) }),
  );
  return squeeze(vector, 0);
}

/**
 * Which keys each query may see: those at or before it that the mask does not leave out.
 *
 * @param mask `[batch, total]`
 * @returns `bool [batch, 1, sequence, total]`
 */
function allowedKeys(graph: Graph, ids: Tensor, mask: Tensor): Tensor {
  const scalar = { type: 'int64', shape: [] } as const;
  const zero = squeeze(graph.integers([0]), 0);
  const step = squeeze(graph.integers([1]), 0);
  const [batch = 'batch', all = 'total'] = mask.shape;
  const total = secondLength(mask);
  const past = onlyOutput(graph.node('Sub', [total, secondLength(ids)], [scalar]));
  const range = (start: Tensor, length: Dimension): Tensor =>
    onlyOutput(graph.node('Range', [start, total, step], [{ type: 'int64', shape: [length] }]));
  const keys = range(zero, all);
  const queries = unsqueeze(range(past, 'sequence'), 1);
  const causal = onlyOutput(
    graph.node('LessOrEqual', [keys, queries], [{ type: 'bool', shape: ['sequence', all] }]),
  );
  const present = unsqueeze(unsqueeze(cast(mask, 'bool'), 1), 1);
  const shape = [batch, 1, 'sequence', all];
  return onlyOutput(graph.node('And', [present, causal], [{ type: 'bool', shape }]));
}

/**
 * Attention that joins past keys and values with new ones and gives both out as the present.
 *
 * @param masked what to add to the scores: `[batch, 1, sequence, total]`
 */
function pastAttention(graph: Graph, config: Gpt2Config, ids: Tensor, masked: Tensor): Attention {
  const heads = config.n_head;
  const width = config.n_embd / heads;
  return maskedAttention(config, ids, masked, (fresh, layer, what) => {
    const shape = ['batch', heads, 'past', width];
    const past = graph.input(cacheName('past_key_values', layer, what), 'float32', shape);
    const output = { type: fresh.type, shape: fresh.shape.with(2, 'total') };
    const joined = onlyOutput(graph.node('Concat', [past, fresh], [output], { axis: int(2) }));
    graph.output(cacheName('present', layer, what), joined);
    return joined;
  });
}

/**
 * Attention over padded rows.
 *
 * @param masked what to add to the scores: `[batch, 1, sequence, total]`
 * @param join puts what was before in front of new keys or values
 */
function maskedAttention(
  config: Gpt2Config,
  ids: Tensor,
  masked: Tensor,
  join: (fresh: Tensor, layer: number, what: 'key' | 'value') => Tensor = (fresh) => fresh,
): Attention {
  const heads = config.n_head;
  const width = config.n_embd / heads;
  return (queriesKeysValues, layer) => {
    const unfolded = unfold(queriesKeysValues, ids, ['batch', 'sequence', 3, heads, width]);
    const byHead = transpose(unfolded, [2, 0, 3, 1, 4]);
    const [queries, newKeys, newValues] = split(byHead, 0, 3).map((part) => squeeze(part, 0));
    if (queries === undefined || newKeys === undefined || newValues === undefined) {
      throw new Error('Queries, keys and values did not come apart.');
    }
    const keys = join(newKeys, layer, 'key');
    const values = join(newValues, layer, 'value');
    const alpha = 1 / Math.sqrt(width);
    const scores = matmul(queries, keys, { transposeB: true, alpha });
    const weights = softmax(add(scores, masked));
    const gathered = onlyOutput(
      ids.graph.node(
        'Transpose',
        [matmul(weights, values)],
        [{ type: 'float32', shape: ['batch', 'sequence', heads, width] }],
        { perm: ints([0, 2, 1, 3]) },
      ),
    );
    return reshape(gathered, ['tokens', config.n_embd]);
  };
}
