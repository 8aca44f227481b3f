import { at, range } from '../../src/base/arrays.js';
import { Graph, matmul } from '../../src/graph/index.js';
import {
  forward,
  parameterInputs,
  type Parameters,
  raggedAttention,
  raggedLayoutInputs,
  TOKEN_EMBEDDING,
} from '../../src/model/index.js';
import { float32, floatsOf, int64, Session } from '../../src/runtime/index.js';

/**
 * The logits of rows of token ids that are equally long: `[rows · length · vocabulary]`; or with
 * the weights of a ranking head, each token's score: `[rows · length]`.
 */
export async function gpt2Logits(
  parameters: Parameters,
  rows: readonly (readonly number[])[],
  rankingHead?: Float32Array,
): Promise<Float32Array> {
  const graph = new Graph();
  const tensors = parameterInputs(graph, parameters.config);
  const ids = graph.input('ids', 'int64', ['tokens']);
  const positions = graph.input('positions', 'int64', ['tokens']);
  const attention = raggedAttention(parameters.config, raggedLayoutInputs(graph));
  const hidden = forward(parameters.config, tensors, { ids, positions }, attention);
  const head =
    rankingHead === undefined
      ? tensors(TOKEN_EMBEDDING)
      : graph.input('head', 'float32', [1, rankingHead.length]);
  graph.output('logits', matmul(hidden, head, { transposeB: true }));

  const time = at(rows, 0).length;
  const places = range(0, rows.length * time);
  const mask = Float32Array.from({ length: time * time }, (_, index) =>
    index % time > Math.floor(index / time) ? -1e9 : 0,
  );
  const session = await Session.create(graph, { threads: 1 });
  const weights = parameters.layout.map(
    (parameter) => [parameter.name, float32(parameters.view(parameter), parameter.shape)] as const,
  );
  const { logits } = await session.run(
    {
      ...Object.fromEntries(weights),
      ...(rankingHead === undefined ? {} : { head: float32(rankingHead, [1, rankingHead.length]) }),
      ids: int64(rows.flat(), [places.length]),
      positions: int64(
        places.map((place) => place % time),
        [places.length],
      ),
      padded: int64(places, [rows.length, time]),
      padded_list: int64(places, [places.length]),
      flat: int64(places, [places.length]),
      present: float32(new Float32Array(places.length).fill(1), [places.length, 1]),
      mask: float32(mask, [time, time]),
    },
    { logits: null },
  );
  await session[Symbol.asyncDispose]();
  return floatsOf(logits);
}
