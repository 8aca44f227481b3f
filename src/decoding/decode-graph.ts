import { gather, Graph, matmul, type Tensor } from '../graph/index.js';
import {
  type Attention,
  forward,
  type Gpt2Config,
  type ParameterTensors,
  TOKEN_EMBEDDING,
} from '../model/index.js';

/** The name of the output with the scores of the next token: `[batch, vocab_size]`. */
export const LOGITS = 'logits';

/** The name of the output with the last layer's states of the wanted tokens: `[wanted, n_embd]`. */
export const HIDDEN_STATES = 'hidden_states';

/**
 * A graph that reads new tokens after those in a cache of keys and values and scores the token
 * after the last of each row. The same graph reads a prompt and takes single steps.
 *
 * Its inputs are `ids` and `positions` (`int64 [batch·time]`), `wanted` (`int64 [wanted]`: the places in
 * the batch, row by row, of the tokens whose states are put out), `last` (`int64 [batch]`: which of those
 * each row's last token is) and those of attention.
 *
 * @param attention looks at the tokens in the cache and adds the new ones
 * @param declare makes the tensors of the parameters in the graph.
 */
export function decodeGraph(
  config: Gpt2Config,
  fused: boolean,
  attention: (graph: Graph, config: Gpt2Config) => Attention,
  declare: (graph: Graph) => ParameterTensors,
): Graph {
  const graph = new Graph({ fused });
  const parameter = declare(graph);
  const tokens = {
    ids: graph.input('ids', 'int64', ['batch·time']),
    positions: graph.input('positions', 'int64', ['batch·time']),
  };
  const wanted = graph.input('wanted', 'int64', ['wanted']);
  const select = (x: Tensor) => gather(x, wanted);
  const hidden = forward(config, parameter, tokens, attention(graph, config), { select });
  const last = gather(hidden, graph.input('last', 'int64', ['batch']));
  graph.output(HIDDEN_STATES, hidden);
  graph.output(LOGITS, matmul(last, parameter(TOKEN_EMBEDDING), { transposeB: true }));
  return graph;
}
