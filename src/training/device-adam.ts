import {
  add,
  divide,
  expandLike,
  Graph,
  int,
  multiply,
  reduceSum,
  scale,
  squareRoot,
  subtract,
  type Tensor,
  where,
} from '../graph/index.js';
import { float32, type HostTensors } from '../runtime/index.js';
import { FLAT_ROW, type FlatLayout } from './flat-layout.js';
import type { CompleteAdamOptions } from './optimizer.js';

/** The names of the update graph's inputs and outputs; see {@link deviceAdamGraph}. */
export const UPDATE = {
  weights: 'weights',
  gradients: 'gradients',
  firstMoments: 'first_moments',
  secondMoments: 'second_moments',
  newWeights: 'new_weights',
  newFirstMoments: 'new_first_moments',
  newSecondMoments: 'new_second_moments',
  /** The sum of the squares of all gradients, as they are. */
  squares: 'squares',
  rate: 'rate',
  /** What gradients are multiplied by before anything else. */
  unscale: 'unscale',
  decay: 'decay',
  decayed: 'decayed',
} as const;

/**
 * One step of the `Adam` that the CPU takes, over flat buffers (`[rows, FLAT_ROW]`), a handful of
 * operations for all parameters together.
 */
export function deviceAdamGraph(
  layout: FlatLayout,
  options: CompleteAdamOptions,
  fused: boolean,
): Graph {
  const { beta1, beta2, epsilon, maxGradientNorm, clipping } = options;
  const graph = new Graph({ fused });
  const flat = (name: string) => graph.input(name, 'float32', layout.shape);
  const weights = flat(UPDATE.weights);
  const gradients = flat(UPDATE.gradients);
  const firstMoments = flat(UPDATE.firstMoments);
  const secondMoments = flat(UPDATE.secondMoments);
  const rate = graph.input(UPDATE.rate, 'float32', []);
  const unscale = graph.input(UPDATE.unscale, 'float32', []);
  const decay = graph.input(UPDATE.decay, 'float32', [layout.rows, 1]);

  const squares = squaresOf(gradients, layout.rows);
  graph.output(UPDATE.squares, reduceSum(squares));
  /** What gradients are multiplied by that have a norm of which this is the square. */
  const factor = (sum: Tensor) => {
    const norm = multiply(squareRoot(sum), unscale);
    const wanted = divide(graph.scalar(maxGradientNorm), add(norm, graph.scalar(1e-6)));
    const one = graph.scalar(1);
    const [longer] = graph.node('Less', [wanted, one], [{ type: 'bool', shape: [] }]);
    if (longer === undefined) throw new Error('A node of one output made none.');
    return multiply(where(longer, wanted, one), unscale);
  };
  const factors =
    clipping === 'tensor'
      ? tensorFactors(layout, squares, factor)
      : groupFactors(squares, graph.input(UPDATE.decayed, 'float32', [layout.rows, 1]), factor);

  const gradient = multiply(gradients, factors);
  const first = add(scale(firstMoments, beta1), scale(gradient, 1 - beta1));
  const squared = multiply(gradient, gradient);
  const second = add(scale(secondMoments, beta2), scale(squared, 1 - beta2));
  const step = divide(first, add(squareRoot(second), graph.scalar(epsilon)));
  const update = multiply(add(step, multiply(weights, decay)), rate);
  graph.output(UPDATE.newFirstMoments, first);
  graph.output(UPDATE.newSecondMoments, second);
  graph.output(UPDATE.newWeights, subtract(weights, update));
  return graph;
}

/** The inputs of {@link deviceAdamGraph} that stay the same from step to step. */
export function adamRowFeeds(
  layout: FlatLayout,
  { decays, weightDecay }: CompleteAdamOptions,
): HostTensors {
  const shape = [layout.rows, 1];
  return {
    [UPDATE.decay]: float32(
      layout.ofRows((name) => (decays(name) ? weightDecay : 0)),
      shape,
    ),
    [UPDATE.decayed]: float32(
      layout.ofRows((name) => Number(decays(name))),
      shape,
    ),
  };
}

/** The sum of squares of each row: `[rows, 1]`. */
function squaresOf(gradients: Tensor, rows: number): Tensor {
  const { graph } = gradients;
  const [squares] = graph.node(
    'ReduceSumSquare',
    [gradients, graph.integers([-1])],
    [{ type: 'float32', shape: [rows, 1] }],
    { keepdims: int(true) },
  );
  if (squares === undefined) throw new Error('A node of one output made none.');
  return squares;
}

/** Each row's factor where the norms of decayed and of other parameters are taken together. */
function groupFactors(squares: Tensor, decayed: Tensor, factor: (sum: Tensor) => Tensor): Tensor {
  const others = subtract(squares.graph.scalar(1), decayed);
  const share = (group: Tensor) => multiply(group, factor(reduceSum(multiply(squares, group))));
  return add(share(decayed), share(others));
}

/** Each row's factor where each parameter has a norm of its own. */
function tensorFactors(
  layout: FlatLayout,
  squares: Tensor,
  factor: (sum: Tensor) => Tensor,
): Tensor {
  const { graph } = squares;
  const factors = layout.places.map(({ start, rows }) => {
    const first = start / FLAT_ROW;
    const bounds = [graph.integers([first]), graph.integers([first + rows])];
    const part = { type: squares.type, shape: [rows, 1] };
    const [own] = graph.node('Slice', [squares, ...bounds], [part]);
    if (own === undefined) throw new Error('A node of one output made none.');
    return expandLike(factor(reduceSum(own)), own);
  });
  const [all] = graph.node('Concat', factors, [squares], { axis: int(0) });
  if (all === undefined) throw new Error('A node of one output made none.');
  return all;
}
