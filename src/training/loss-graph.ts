import {
  cast,
  differentiate,
  type Gradient,
  Graph,
  linearCrossEntropy,
  moveRows,
  multiply,
  reduceSum,
  type RowGradient,
  type Shape,
  type Tensor,
} from '../graph/index.js';
import {
  type Dropout,
  type DropoutMask,
  type Gpt2Config,
  headSlices,
  lastNormalization,
  type LoraAdapter,
  loraInputs,
  loraProjection,
  noDropout,
  ownProjection,
  parameterInputs,
  parameterLayout,
  type ParameterTensors,
  type Projection,
  raggedAttention,
  raggedLayoutInputs,
  throughLayers,
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
  /** An adapter beside the weights; the gradients are then those of its factors alone. */
  readonly adapter?: LoraAdapter | undefined;
}

/** Rows of an embedding table's gradient that a run puts out. */
export interface RowOutput {
  readonly parameter: string;
  /** The input of the graph that says which rows. */
  readonly rows: string;
  /** The output of the graph that holds their values. */
  readonly values: string;
  /** The shape of the values: `[...rows.shape, …]`. */
  readonly shape: Shape;
}

/** A graph that computes losses over a ragged batch and, if asked, gradients. */
export interface LossGraph {
  readonly graph: Graph;
  /** The parameters with a dense gradient; output `gradient.NAME` adds it to `accumulated.NAME`. */
  readonly dense: readonly string[];
  readonly rows: readonly RowOutput[];
  /** The dropout masks that it takes as inputs; none without gradients. */
  readonly masks: readonly DropoutMask[];
}

/** The name of the graph's input that scales the sum of all losses to the loss to minimise. */
export const LOSS_SCALE = 'loss_scale';

/** The name of the output with the loss of each label: `[labels]`. */
export const LABEL_LOSSES = 'label_losses';

/**
 * The loss of a ragged batch as the original's `lsp_model` computes it: the negative
 * log-likelihood of every labelled token. The head sees labelled tokens only, and so does the last
 * layer after its attention.
 *
 * Gradients are those of `loss_scale · Σ label_losses`. The token embedding's is dense from the
 * head and sparse from the lookups; the position embedding's is sparse. With an adapter, nothing of
 * the size of a weight's gradient is computed.
 */
export function lossGraph(config: Gpt2Config, options: LossGraphOptions): LossGraph {
  const { gradients, tokenTypes = false, fused = true, adapter } = options;
  const masks: DropoutMask[] = [];
  const graph = new Graph({ fused });
  const parameter = parameterInputs(graph, config);
  const drop = gradients ? trainingDropout(masks) : noDropout;
  const factors = adapter === undefined ? undefined : loraInputs(graph, adapter);
  const adapt =
    adapter === undefined || factors === undefined
      ? ownProjection
      : loraProjection(adapter, factors, drop);
  const slices = headSliceInputs(graph, config);
  const losses = batchLosses(graph, config, parameter, {
    tokenTypes,
    drop,
    adapt,
    slices: [...slices.values()],
  });
  if (!gradients) return { graph, dense: [], rows: [], masks };

  const loss = multiply(reduceSum(losses), graph.input(LOSS_SCALE, 'float32', []));
  const trained =
    factors ??
    new Map([
      ...parameterLayout(config).map(({ name }) => [name, parameter(name)] as const),
      ...slices,
    ]);
  const found = differentiate(loss, [...trained.values()]);
  return { graph, ...outputGradients(graph, [...trained.keys()], found), masks };
}

/**
 * Declares the slices of the token embedding that the head multiplies by, by name; none where it
 * is multiplied as a whole.
 */
export function headSliceInputs(graph: Graph, config: Gpt2Config): ReadonlyMap<string, Tensor> {
  return new Map(
    headSlices(config).map(({ name, shape }) => [name, graph.input(name, 'float32', shape)]),
  );
}

/** What {@link batchLosses} may do besides. */
export interface BatchLossesOptions {
  readonly tokenTypes: boolean;
  readonly drop: Dropout;
  readonly adapt?: Projection;
  /** The token embedding in slices; see {@link headSliceInputs}. */
  readonly slices?: readonly Tensor[];
}

/**
 * The loss of each label of a ragged batch (`float32 [labels]`), also put out as
 * {@link LABEL_LOSSES}. Declares the batch's inputs.
 */
export function batchLosses(
  graph: Graph,
  config: Gpt2Config,
  parameter: ParameterTensors,
  { tokenTypes, drop, adapt = ownProjection, slices = [] }: BatchLossesOptions,
): Tensor {
  const input = (name: string) => graph.input(name, 'int64', ['tokens']);
  const tokens = {
    ids: input('ids'),
    positions: input('positions'),
    ...(tokenTypes ? { types: input('types') } : {}),
  };
  const layout = raggedLayoutInputs(graph);
  const attention = raggedAttention(config, layout, drop);
  const select = labelledTokens(graph);
  const labelled = throughLayers(config, parameter, tokens, attention, { drop, adapt, select });
  return headLosses(config, parameter, labelled, slices);
}

/** Declares which tokens have a label, and returns what takes them: `[tokens, …]` to `[labels, …]`. */
export function labelledTokens(graph: Graph): (x: Tensor) => Tensor {
  const move = {
    rows: graph.input('labelled', 'int64', ['labels']),
    origins: graph.input('label_origins', 'int64', ['tokens']),
    present: graph.input('label_present', 'float32', ['tokens', 1]),
  };
  return (x) => moveRows(x, move);
}

/** The loss of each labelled row, also put out as {@link LABEL_LOSSES}. */
export function headLosses(
  config: Gpt2Config,
  parameter: ParameterTensors,
  labelled: Tensor,
  slices: readonly Tensor[],
): Tensor {
  const { graph } = labelled;
  const labels = graph.input('labels', 'int64', ['labels']);
  const hidden = lastNormalization(config, parameter, labelled);
  const embedding = parameter(TOKEN_EMBEDDING);
  const losses = linearCrossEntropy(cast(hidden, embedding.type), embedding, labels, {
    known: config.vocab_size,
    slices,
  });
  graph.output(LABEL_LOSSES, losses);
  return losses;
}

/** Puts gradients out under the names of what they belong to, dense ones accumulated. */
export function outputGradients(
  graph: Graph,
  names: readonly string[],
  found: readonly Gradient[],
): Pick<LossGraph, 'dense' | 'rows'> {
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
  for (const [index, gradient] of found.entries()) {
    const name = names[index] ?? '';
    if (gradient.dense !== undefined) {
      const { type, shape } = gradient.dense;
      const before = graph.input(`accumulated.${name}`, type, shape);
      // On the CPU, ONNX Runtime folds a Sum into the Gemm before it, which then adds in place.
      const operator = graph.fused ? 'Sum' : 'Add';
      const [sum] = graph.node(operator, [gradient.dense, before], [{ type, shape }]);
      if (sum !== undefined) graph.output(`gradient.${name}`, sum);
      dense.push(name);
    }
    for (const part of gradient.rows) {
      const { shape } = part.values;
      rows.push({ parameter: name, rows: part.rows.name, values: outputValues(part), shape });
    }
  }
  return { dense, rows };
}
