import {
  cast,
  differentiate,
  type Gradient,
  Graph,
  int,
  multiply,
  reduceSum,
  RowGradient,
  type Tensor,
} from '../graph/index.js';
import {
  type Gpt2Config,
  noDropout,
  parameterLayout,
  type ParameterTensors,
  POSITION_EMBEDDING,
  TOKEN_EMBEDDING,
} from '../model/index.js';
import { mixingDropout, type MixedWords } from './dropout-masks.js';
import { FLAT_ROW, FlatLayout } from './flat-layout.js';
import { batchLosses, LOSS_SCALE } from './loss-graph.js';
import { rowSums } from './row-sums.js';

/** The names of the inputs and outputs that a device keeps, each in the flat layout. */
export const DEVICE = {
  weights: 'weights',
  /** What gradients are added to. */
  accumulated: 'accumulated',
  gradients: 'gradients',
} as const;

/**
 * The rows of the token embedding are padded to a multiple of this, because a GPU's products read
 * four numbers at once where lengths allow it; the tokens that are none have no probability.
 */
const VOCABULARY_MULTIPLE = 8;

/** How the graphs of a device are built. */
export interface DeviceGraphOptions {
  readonly tokenTypes: boolean;
  /** Whether products and what lies between them are in half precision. */
  readonly half: boolean;
  /** Whether ONNX Runtime's fused operators may be used. */
  readonly fused: boolean;
}

/** A table of which a batch looks up rows. */
export interface LookedUp {
  /** The prefix of the inputs; see `rowSumFeeds`. */
  readonly name: string;
  /** The number of rows of the table. */
  readonly rows: number;
  /** The names of the batch's lists of rows, one after the other. */
  readonly lookups: readonly string[];
}

/** A graph of losses over weights that lie flat on a device. */
export interface DeviceGraph {
  readonly graph: Graph;
  readonly words: readonly MixedWords[];
  readonly tables: readonly LookedUp[];
}

/** The flat layout of a model's parameters. */
export function deviceLayout(config: Gpt2Config): FlatLayout {
  return new FlatLayout(parameterLayout(config), ({ name, shape }) => {
    if (name !== TOKEN_EMBEDDING) return shape;
    const [rows = 0, width = 0] = shape;
    return [VOCABULARY_MULTIPLE * Math.ceil(rows / VOCABULARY_MULTIPLE), width];
  });
}

/** Whether a parameter is an operand of products; the embedding is too, but it is also looked up. */
function isProduct(name: string): boolean {
  return !name.includes('.ln_') && name !== POSITION_EMBEDDING;
}

/** The losses of a batch without dropout, in single precision. */
export function deviceLossGraph(
  config: Gpt2Config,
  layout: FlatLayout,
  { tokenTypes, fused }: DeviceGraphOptions,
): DeviceGraph {
  const graph = new Graph({ fused });
  const parameter = flatParameters(graph, layout, false);
  batchLosses(graph, config, parameter, { tokenTypes, drop: noDropout });
  return { graph, words: [], tables: [] };
}

/**
 * Losses with dropout, and the gradient of `Σ loss_scale · losses` (a scale for each label) added to
 * what was accumulated.
 *
 * In mixed precision, the weights stay in single precision and are rounded to half for the products;
 * layer norms, softmax, the loss and the residual stream are in single precision, and so is the sum
 * of gradients.
 */
export function deviceGradientGraph(
  config: Gpt2Config,
  layout: FlatLayout,
  { tokenTypes, half, fused }: DeviceGraphOptions,
): DeviceGraph {
  const graph = new Graph({ fused });
  const words: MixedWords[] = [];
  const parameter = flatParameters(graph, layout, half);
  const losses = batchLosses(graph, config, parameter, {
    tokenTypes,
    drop: mixingDropout(words),
  });
  const loss = reduceSum(multiply(losses, graph.input(LOSS_SCALE, 'float32', ['labels'])));
  const names = layout.places.map((place) => place.parameter.name);
  const found = differentiate(loss, names.map(parameter));

  const tables: LookedUp[] = [];
  const pieces = layout.places.flatMap(({ parameter: { name }, length, rows, shape }, index) => {
    const gradient = found[index];
    if (gradient === undefined) throw new Error(`There is no gradient of ${name}.`);
    const dense = denseGradient(graph, name, shape, gradient, tables);
    return [flatten(dense, length), ...padding(graph, length, rows)];
  });
  const all = join(pieces);
  const accumulated = graph.input(DEVICE.accumulated, 'float32', layout.shape);
  const rowed = shaped(all, layout.shape);
  graph.output(DEVICE.gradients, only(graph.node('Add', [accumulated, rowed], [accumulated])));
  return { graph, words, tables };
}

/** The parameters as parts of one flat input, those of products rounded to half if asked. */
function flatParameters(graph: Graph, layout: FlatLayout, half: boolean): ParameterTensors {
  const flat = shaped(graph.input(DEVICE.weights, 'float32', layout.shape), [
    layout.rows * FLAT_ROW,
  ]);
  const halves = half ? cast(flat, 'float16') : flat;
  const tensors = new Map(
    layout.places.map(({ parameter: { name }, length, shape, start }) => {
      const source = isProduct(name) ? halves : flat;
      const bounds = [graph.integers([start]), graph.integers([start + length])];
      const part = { type: source.type, shape: [length] };
      return [name, shaped(only(graph.node('Slice', [source, ...bounds], [part])), shape)];
    }),
  );
  return (name) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`The model has no parameter ${name}.`);
    return tensor;
  };
}

/** A gradient as one tensor; notes in `tables` the table whose rows it is of. */
function denseGradient(
  graph: Graph,
  name: string,
  shape: readonly number[],
  { dense, rows }: Gradient,
  tables: LookedUp[],
): Tensor {
  if (rows.length === 0) {
    if (dense === undefined) throw new Error(`There is no gradient of ${name}.`);
    return cast(dense, 'float32');
  }
  const [tableRows = 0, width = 0] = shape;
  const single = rows.map((part) => new RowGradient(part.rows, cast(part.values, 'float32')));
  const sum = rowSums(graph, name, tableRows, single, width);
  tables.push({ name, rows: tableRows, lookups: rows.map((part) => part.rows.name) });
  if (dense === undefined) return sum;
  return only(graph.node('Add', [cast(dense, 'float32'), sum], [sum]));
}

/** Zeros that fill a parameter's last row. */
function padding(graph: Graph, length: number, rows: number): readonly Tensor[] {
  const rest = rows * FLAT_ROW - length;
  return rest === 0 ? [] : [graph.zeros([rest])];
}

function flatten(x: Tensor, length: number): Tensor {
  return x.rank === 1 ? x : shaped(x, [length]);
}

function shaped(x: Tensor, shape: readonly number[]): Tensor {
  const { graph, type } = x;
  return only(graph.node('Reshape', [x, graph.integers(shape)], [{ type, shape }]));
}

function join(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  if (first === undefined) throw new Error('There is nothing to join.');
  const { graph, type } = first;
  const length = parts.reduce((total, { shape: [size] }) => total + Number(size), 0);
  return only(graph.node('Concat', parts, [{ type, shape: [length] }], { axis: int(0) }));
}

function only(tensors: readonly Tensor[]): Tensor {
  const [tensor] = tensors;
  if (tensor === undefined) throw new Error('A node of one output made none.');
  return tensor;
}
