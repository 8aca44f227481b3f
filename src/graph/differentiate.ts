import { type Graph, type Operation, Tensor } from './graph.js';
import { type Contribution, gradientRules, RowGradient } from './gradients.js';
import { add } from './operations/elementwise.js';
import { only } from './operations/checks.js';
import { expandLike, unsqueeze } from './operations/structure.js';
import { sameShape, ShapeError } from './shapes.js';
import { text } from './attributes.js';

/** The gradient of one tensor: a dense part, sparse rows, or both, which add up. */
export interface Gradient {
  readonly dense: Tensor | undefined;
  readonly rows: readonly RowGradient[];
}

/** How {@link differentiate} gives gradients. */
export interface DifferentiateOptions {
  /** Add sparse rows into the dense part inside the graph, so that `rows` is always empty. */
  readonly dense?: boolean;
  /**
   * The gradient that flows back to `loss`, of its shape, which then need not be a scalar: what the
   * rest of a model that continues in another graph found. By default 1.
   */
  readonly from?: Tensor;
}

/**
 * Extends the graph by the gradients of a scalar, by reverse-mode differentiation: the operations
 * are visited backwards, and each hands its outputs' gradient to its inputs by the rule of its
 * name.
 *
 * @param loss a scalar, unless `from` is given
 * @param parameters the tensors to differentiate by
 * @returns the gradient of each parameter, in the same order
 * @throws Error `No gradient rule for X` if an operation on the way has none
 */
export function differentiate(
  loss: Tensor,
  parameters: readonly Tensor[],
  { dense = false, from }: DifferentiateOptions = {},
): readonly Gradient[] {
  if (from === undefined && loss.rank !== 0) {
    throw new ShapeError('differentiate', [loss], 'the loss must be a scalar');
  }
  if (from !== undefined && !sameShape(from.shape, loss.shape)) {
    throw new ShapeError('differentiate', [loss, from], 'the gradient must have the shape of it');
  }
  const { graph } = loss;
  const wanted = reachedBy(parameters, graph.operations);
  if (!wanted.has(loss)) {
    throw new Error(`differentiate: ${loss.name} does not depend on any of the parameters.`);
  }

  const contributions = new Map<Tensor, Contribution[]>([
    [loss, [from ?? graph.scalar(1, loss.type)]],
  ]);
  for (const operation of graph.operations.slice().reverse()) {
    const received = operation.outputs.map((output) => contributions.get(output));
    if (received.every((list) => list === undefined)) continue;
    if (!operation.inputs.some((input) => wanted.has(input))) continue;
    const rule = gradientRules[operation.name];
    if (rule === undefined) throw new Error(`No gradient rule for ${operation.name}.`);
    const gradients = operation.outputs.map((output, position) => {
      const list = received[position];
      return list && densify(output, list);
    });
    for (const [position, inputRule] of rule(operation, gradients).entries()) {
      const input = operation.inputs[position];
      if (input === undefined || inputRule === undefined || !wanted.has(input)) continue;
      const list = contributions.get(input) ?? [];
      contributions.set(input, [...list, ...inputRule()]);
    }
  }

  return parameters.map((parameter) => {
    const list = contributions.get(parameter);
    if (list === undefined) {
      throw new Error(`differentiate: ${loss.name} does not depend on ${parameter.name}.`);
    }
    if (dense) return { dense: densify(parameter, list), rows: [] };
    return {
      dense: total(list.filter((part) => part instanceof Tensor)),
      rows: list.filter((part) => part instanceof RowGradient),
    };
  });
}

/** All tensors that the parameters have an influence on, themselves included. */
function reachedBy(
  parameters: readonly Tensor[],
  operations: readonly Operation[],
): ReadonlySet<Tensor> {
  const reached = new Set(parameters);
  for (const { inputs, outputs } of operations) {
    if (inputs.some((input) => reached.has(input))) {
      for (const output of outputs) reached.add(output);
    }
  }
  return reached;
}

function total(parts: readonly Tensor[]): Tensor | undefined {
  const [first, ...others] = parts;
  return first === undefined ? undefined : others.reduce(add, first);
}

/** All contributions to `tensor` as one tensor of its shape. */
function densify(tensor: Tensor, contributions: readonly Contribution[]): Tensor {
  const { graph } = tensor;
  const rows = contributions.filter((part) => part instanceof RowGradient);
  const sum = total(contributions.filter((part) => part instanceof Tensor));
  if (rows.length === 0 && sum !== undefined) return sum;
  const start = sum ?? expandLike(graph.scalar(0, tensor.type), tensor);
  return rows.reduce((target, part) => scatterAdd(graph, target, part), start);
}

function scatterAdd(graph: Graph, target: Tensor, { rows, values }: RowGradient): Tensor {
  const inputs = [target, unsqueeze(rows, -1), values];
  return only(graph.node('ScatterND', inputs, [target], { reduction: text('add') }));
}
