import {
  differentiate,
  Graph,
  linearCrossEntropy,
  moveRows,
  multiply,
  reduceSum,
  type RowGradient,
  type Tensor,
} from '../graph/index.js';
import {
  forward,
  type Gpt2Config,
  noDropout,
  parameterInputs,
  parameterLayout,
  raggedAttention,
  raggedLayoutInputs,
  TOKEN_EMBEDDING,
  trainingDropout,
} from '../model/index.js';

/** What a {@link lossGraph} computes. */
export interface LossGraphOptions {
  /** Whether the gradients are wanted, with dropout, or the loss alone, without. */
  readonly gradients: boolean;
  /** Whether token-type ids are read and their embeddings added. */
  readonly tokenTypes?: boolean;
  /** Whether ONNX Runtime's fused operators may be used. */
  readonly fused?: boolean;
  /** Where the drawing of dropout masks starts. */
  readonly seed?: number;
}

/** Rows of an embedding table's gradient that a run puts out. */
export interface RowOutput {
  readonly parameter: string;
  /** The input of the graph that says which rows. */
  readonly rows: string;
  /** The output of the graph that holds their values. */
  readonly values: string;
}

/** A graph that computes losses over a ragged batch and, if asked, gradients. */
export interface LossGraph {
  readonly graph: Graph;
  /** The parameters with a dense gradient; output `gradient.NAME` adds it to `accumulated.NAME`. */
  readonly dense: readonly string[];
  readonly rows: readonly RowOutput[];
}

/** The name of the graph's input that scales the sum of all losses to the loss to minimise. */
export const LOSS_SCALE = 'loss_scale';

/** The name of the output with the loss of each label: `[labels]`. */
export const LABEL_LOSSES = 'label_losses';

/**
 * The loss of a ragged batch as the original's `lsp_model` computes it: the negative
 * log-likelihood of every labelled token. The head sees labelled tokens only.
 *
 * Gradients are those of `loss_scale · Σ label_losses`. The token embedding's is dense from the
 * head and sparse from the lookups; the position embedding's is sparse.
 */
export function lossGraph(config: Gpt2Config, options: LossGraphOptions): LossGraph {
  const { gradients, tokenTypes = false, fused = true, seed = 0 } = options;
  const graph = new Graph({ fused });
  const parameter = parameterInputs(graph, config);
  const input = (name: string) => graph.input(name, 'int64', ['tokens']);
  const tokens = {
    ids: input('ids'),
    positions: input('positions'),
    ...(tokenTypes ? { types: input('types') } : {}),
  };
  const layout = raggedLayoutInputs(graph);
  const drop = gradients ? trainingDropout(seed) : noDropout;
  const hidden = forward(config, parameter, tokens, raggedAttention(config, layout, drop), drop);

  const labelled = moveRows(hidden, {
    rows: graph.input('labelled', 'int64', ['labels']),
    origins: graph.input('label_origins', 'int64', ['tokens']),
    present: graph.input('label_present', 'float32', ['tokens', 1]),
  });
  const labels = graph.input('labels', 'int64', ['labels']);
  const losses = linearCrossEntropy(labelled, parameter(TOKEN_EMBEDDING), labels);
  graph.output(LABEL_LOSSES, losses);
  if (!gradients) return { graph, dense: [], rows: [] };

  const loss = multiply(reduceSum(losses), graph.input(LOSS_SCALE, 'float32', []));
  return { graph, ...gradientOutputs(graph, config, loss, parameter) };
}

/**
 * Adds the gradients of a loss by all parameters to a graph, as {@link LossGraph} has them.
 *
 * @param more tensors that are not of GPT-2, such as a head of its own
 */
export function gradientOutputs(
  graph: Graph,
  config: Gpt2Config,
  loss: Tensor,
  parameter: (name: string) => Tensor,
  more: readonly string[] = [],
): Pick<LossGraph, 'dense' | 'rows'> {
  const names = [...parameterLayout(config).map(({ name }) => name), ...more];
  const dense: string[] = [];
  const rows: RowOutput[] = [];
  const valueNames = new Map<Tensor, string>();
  const outputValues = ({ values }: RowGradient): string => {
    const known = valueNames.get(values);
    if (known !== undefined) return known;
    const name = `row_gradients.${valueNames.size}`;
    valueNames.set(values, name);
    graph.output(name, values);
    return name;
  };
  const found = differentiate(loss, names.map(parameter));
  for (const [index, gradient] of found.entries()) {
    const name = names[index] ?? '';
    if (gradient.dense !== undefined) {
      const { type, shape } = gradient.dense;
      const before = graph.input(`accumulated.${name}`, type, shape);
      // ONNX Runtime folds a Sum into the Gemm before it, which then adds in place.
      const [sum] = graph.node('Sum', [gradient.dense, before], [{ type, shape }]);
      if (sum !== undefined) graph.output(`gradient.${name}`, sum);
      dense.push(name);
    }
    for (const part of gradient.rows) {
      rows.push({ parameter: name, rows: part.rows.name, values: outputValues(part) });
    }
  }
  return { dense, rows };
}
