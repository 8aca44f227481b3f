import {
  differentiate,
  type Gradient,
  Graph,
  multiply,
  reduceSum,
  type Tensor,
} from '../graph/index.js';
import {
  type Dropout,
  type DropoutMask,
  embed,
  type Gpt2Config,
  layerParameterShapes,
  parameterShapes,
  type ParameterTensors,
  POSITION_EMBEDDING,
  raggedAttention,
  raggedLayoutInputs,
  TOKEN_EMBEDDING,
  trainingDropout,
  transformerLayer,
} from '../model/index.js';
import {
  headLosses,
  headSliceInputs,
  labelledTokens,
  LOSS_SCALE,
  outputGradients,
  type RowOutput,
} from './loss-graph.js';

/** What a part of the model reads and puts out: the hidden states and their gradients. */
export const PART = {
  input: 'hidden',
  output: 'next_hidden',
  inputGradient: 'hidden_gradient',
  outputGradient: 'next_hidden_gradient',
} as const;

/** A graph of one part of the model: the embeddings, a layer or the head. */
export interface PartGraph {
  readonly graph: Graph;
  /** The parameters that it reads, by the names of its inputs. */
  readonly parameters: readonly string[];
  /** As in a `LossGraph`: those of this part, the same on the way forward and back. */
  readonly masks: readonly DropoutMask[];
  /** As in a `LossGraph`. */
  readonly dense: readonly string[];
  readonly rows: readonly RowOutput[];
}

/** What a graph is for: the way back computes the part once more and differentiates it. */
export type Way = 'forward' | 'back';

type Shapes = ReadonlyMap<string, readonly number[]>;

/** The token and position embeddings of `ids`, `positions` and, if asked, `types`. */
export function embeddingGraph(config: Gpt2Config, way: Way, tokenTypes: boolean): PartGraph {
  const shapes = parameterShapes(config);
  const names = [TOKEN_EMBEDDING, POSITION_EMBEDDING];
  return partGraph(way, only(shapes, names), (graph, parameter, drop) => {
    const input = (name: string) => graph.input(name, 'int64', ['tokens']);
    const tokens = {
      ids: input('ids'),
      positions: input('positions'),
      ...(tokenTypes ? { types: input('types') } : {}),
    };
    return { output: embed(config, parameter, tokens, drop) };
  });
}

/**
 * Any one layer; its parameters go by their names within it. The last one puts out the states of
 * labelled tokens alone.
 */
export function layerGraph(config: Gpt2Config, way: Way, last: boolean): PartGraph {
  return partGraph(way, layerParameterShapes(config), (graph, parameter, drop) => {
    const input = graph.input(PART.input, 'float32', ['tokens', config.n_embd]);
    const attention = raggedAttention(config, raggedLayoutInputs(graph), drop);
    const select = last ? labelledTokens(graph) : undefined;
    const look = (x: Tensor) => attention(x, 0);
    return { input, output: transformerLayer(config, parameter, input, look, { drop, select }) };
  });
}

/** The head on the states of some labelled tokens: their losses and all gradients. */
export function headGraph(config: Gpt2Config): PartGraph {
  const own = [TOKEN_EMBEDDING, 'transformer.ln_f.weight', 'transformer.ln_f.bias'];
  const graph = new Graph();
  const parameter = parameterInputs(graph, only(parameterShapes(config), own));
  const slices = headSliceInputs(graph, config);
  const hidden = graph.input(PART.input, 'float32', ['labels', config.n_embd]);
  const losses = headLosses(config, parameter, hidden, [...slices.values()]);
  const loss = multiply(reduceSum(losses), graph.input(LOSS_SCALE, 'float32', []));
  const parameters = [...own, ...slices.keys()];
  const found = differentiate(loss, [...own.map(parameter), ...slices.values(), hidden]);
  return { graph, parameters, masks: [], ...outputFound(graph, parameters, found) };
}

function partGraph(
  way: Way,
  shapes: Shapes,
  build: (
    graph: Graph,
    parameter: ParameterTensors,
    drop: Dropout,
  ) => { readonly input?: Tensor; readonly output: Tensor },
): PartGraph {
  const graph = new Graph();
  const parameter = parameterInputs(graph, shapes);
  const masks: DropoutMask[] = [];
  const { input, output } = build(graph, parameter, trainingDropout(masks));
  const parameters = [...shapes.keys()];
  if (way === 'forward') {
    graph.output(PART.output, output);
    return { graph, parameters, masks, dense: [], rows: [] };
  }
  const from = graph.input(PART.outputGradient, 'float32', output.shape);
  const wanted = [...parameters.map(parameter), ...(input === undefined ? [] : [input])];
  const found = differentiate(output, wanted, { from });
  return { graph, parameters, masks, ...outputFound(graph, parameters, found) };
}

/** Puts out the gradients of a part's parameters and, if it is there behind them, its input's. */
function outputFound(graph: Graph, parameters: readonly string[], found: readonly Gradient[]) {
  const ofInput = found[parameters.length]?.dense;
  if (ofInput !== undefined) graph.output(PART.inputGradient, ofInput);
  return outputGradients(graph, parameters, found.slice(0, parameters.length));
}

function parameterInputs(graph: Graph, shapes: Shapes): ParameterTensors {
  const tensors = new Map(
    [...shapes].map(([name, shape]) => [name, graph.input(name, 'float32', shape)]),
  );
  return (name) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`This part of the model has no parameter ${name}.`);
    return tensor;
  };
}

function only(shapes: Shapes, names: readonly string[]): Shapes {
  return new Map([...shapes].filter(([name]) => names.includes(name)));
}
