import { at } from '../base/arrays.js';
import { Random } from '../base/random.js';
import { dropout, type Graph, type Shape, type Tensor } from '../graph/index.js';
import type { Dropout } from '../model/index.js';
import { boolean, type HostTensor, type HostTensors, int32 } from '../runtime/index.js';
import type { LossGraph } from './loss-graph.js';

/** Which masks to draw; the same are the same wherever they are drawn. */
export interface MaskDraw {
  readonly seed: number;
  /** The number of the batch. */
  readonly draw: number;
  /** The number of the part where a batch is computed in several; 0. */
  readonly part?: number;
  /** The place in the whole model of the graph's first mask; 0. */
  readonly firstPlace?: number;
}

/** The lengths of a graph's named dimensions. */
export type NamedLengths = ReadonlyMap<string, number>;

// A mask is a function of two lists of random words, one for the rows and one for the columns of all
// masks of one rank, and of two odd numbers of its place: an element's word is mixed from the sum of
// its row's and its column's word, and the element stays if what comes out is high enough. So a device
// that is told the lists makes the masks itself, of the same bits as the CPU, and nothing of their size
// goes to it. WebGPU's operators have no exclusive or and no shifts, but products of 32 bits wrap
// around everywhere: x (x + odd) takes each even number twice, and its high bits depend on all bits
// of x.
const SECOND = 0x297a2d39;
/** Dividing by it brings high bits down to where the second product spreads them again. */
const HALF_WORD = 2 ** 16;

/** The numbers that tell the masks of one draw apart. */
interface PlaceNumbers {
  readonly factor: number;
  readonly offset: number;
}

function placeNumbers(place: number): PlaceNumbers {
  const random = generator([0x5eed, place, 2, 1]);
  return { factor: random.uint32() | 1, offset: random.uint32() | 1 };
}

/** An element with a word below it is dropped. */
function threshold(ratio: number): number {
  return Math.min(2 ** 31 - 1, Math.round(ratio * 2 ** 32) - 2 ** 31);
}

/**
 * The dropout masks of one run of a graph, by the names of its inputs. They are a function of
 * the draw and the shapes alone, so that a run that goes on after an interruption, or on
 * another machine, drops what it would have dropped.
 *
 * @param feeds the run's other inputs, whose sizes tell the lengths of the graph's named dimensions
 */
export function drawMasks(
  { graph, masks }: Pick<LossGraph, 'graph' | 'masks'>,
  feeds: HostTensors,
  draw: MaskDraw,
): HostTensors {
  const lengths = namedLengths(graph, feeds);
  const entries = masks.map(({ input, ratio }, place): readonly [string, HostTensor] => {
    const shape = measured(input.shape, lengths);
    const numbers = placeNumbers((draw.firstPlace ?? 0) + place);
    return [input.name, boolean(fillMask(maskWords(shape, draw), numbers, ratio), shape)];
  });
  return Object.fromEntries(entries);
}

/** Words that a graph takes for the masks of one rank. */
export interface MixedWords {
  /** The names of the two inputs. */
  readonly rows: string;
  readonly columns: string;
  /** The shape of the masks. */
  readonly shape: Shape;
}

/**
 * Dropout whose masks the graph makes itself, of two short inputs for all masks of one shape, noted
 * in `words`: the same that {@link drawMasks} draws for the same places.
 */
export function mixingDropout(words: MixedWords[]): Dropout {
  const sums = new Map<string, Tensor>();
  let place = 0;
  return (x, ratio) => {
    if (ratio === 0) return x;
    const { graph, shape } = x;
    const key = shape.join();
    let sum = sums.get(key);
    if (sum === undefined) {
      const name = `dropout.${words.length}`;
      words.push({ rows: `${name}.rows`, columns: `${name}.columns`, shape });
      const rows = graph.input(`${name}.rows`, 'int32', shape.with(-1, 1));
      const columns = graph.input(`${name}.columns`, 'int32', shape.slice(-1));
      sum = node('Add', rows, columns, shape);
      sums.set(key, sum);
    }
    return dropout(x, mixedMask(graph, sum, placeNumbers(place++), ratio), ratio);
  };
}

/** The inputs that {@link mixingDropout} declares. */
export function mixingFeeds(
  words: readonly MixedWords[],
  lengths: NamedLengths,
  draw: MaskDraw,
): HostTensors {
  const entries = words.flatMap((one): (readonly [string, HostTensor])[] => {
    const shape = measured(one.shape, lengths);
    const { rows, columns } = maskWords(shape, draw);
    return [
      [one.rows, int32(rows, shape.with(-1, 1))],
      [one.columns, int32(columns, [columns.length])],
    ];
  });
  return Object.fromEntries(entries);
}

/** The lengths of a graph's named dimensions, told by the sizes of its inputs. */
export function namedLengths(graph: Graph, feeds: HostTensors): NamedLengths {
  const lengths = new Map<string, number>();
  for (const { name, shape } of graph.inputs) {
    const sizes = feeds[name]?.dims ?? [];
    for (const [axis, dimension] of shape.entries()) {
      const size = sizes[axis];
      if (typeof dimension === 'string' && size !== undefined) lengths.set(dimension, size);
    }
  }
  return lengths;
}

function measured(shape: Shape, lengths: NamedLengths): readonly number[] {
  return shape.map((dimension) => {
    const length = typeof dimension === 'number' ? dimension : lengths.get(dimension);
    if (length === undefined) throw new Error(`Nothing tells the length of ${dimension}.`);
    return length;
  });
}

interface MaskWords {
  /** One for each vector of the last dimension. */
  readonly rows: Int32Array;
  /** One for each place in it. */
  readonly columns: Int32Array;
}

/** The words of a draw for masks of this shape; those of one rank begin alike. */
function maskWords(shape: readonly number[], { seed, draw, part = 0 }: MaskDraw): MaskWords {
  const words = (count: number, what: number) => {
    const random = generator([seed, draw, 4 * shape.length + what, 1 + part]);
    const list = new Int32Array(count);
    for (let index = 0; index < count; index++) list[index] = random.uint32();
    return list;
  };
  const rows = shape.slice(0, -1).reduce((product, length) => product * length, 1);
  return { rows: words(rows, 0), columns: words(shape.at(-1) ?? 1, 1) };
}

function generator(state: readonly number[]): Random {
  const random = Random.restore(state);
  // After twelve rounds, states that resemble each other no longer do.
  for (let round = 0; round < 12; round++) random.uint32();
  return random;
}

/** A mask as bytes: 0 with probability `ratio`, else 1. */
function fillMask(
  { rows, columns }: MaskWords,
  { factor, offset }: PlaceNumbers,
  ratio: number,
): Uint8Array {
  const mask = new Uint8Array(rows.length * columns.length);
  const limit = threshold(ratio);
  for (let row = 0, index = 0; row < rows.length; row++) {
    const rowWord = at(rows, row);
    for (let column = 0; column < columns.length; column++, index++) {
      const word = Math.imul((rowWord + at(columns, column)) | 0, factor);
      const first = Math.imul(word, (word + offset) | 0);
      const folded = (first + ((first / HALF_WORD) | 0)) | 0;
      mask[index] = Number(Math.imul(folded, (folded + SECOND) | 0) >= limit);
    }
  }
  return mask;
}

/** What {@link fillMask} computes, as a tensor of truth values. */
function mixedMask(
  graph: Graph,
  sum: Tensor,
  { factor, offset }: PlaceNumbers,
  ratio: number,
): Tensor {
  const word = node('Mul', sum, graph.integer(factor));
  const first = node('Mul', word, node('Add', word, graph.integer(offset)));
  const folded = node('Add', first, node('Div', first, graph.integer(HALF_WORD)));
  const second = node('Mul', folded, node('Add', folded, graph.integer(SECOND)));
  const [mask] = graph.node(
    'GreaterOrEqual',
    [second, graph.integer(threshold(ratio))],
    [{ type: 'bool', shape: sum.shape }],
  );
  if (mask === undefined) throw new Error('A node of one output made none.');
  return mask;
}

/** An operation on whole numbers of 32 bits, which wrap around. */
function node(operator: string, a: Tensor, b: Tensor, shape: Shape = a.shape): Tensor {
  const [output] = a.graph.node(operator, [a, b], [{ type: 'int32', shape }]);
  if (output === undefined) throw new Error('A node of one output made none.');
  return output;
}
