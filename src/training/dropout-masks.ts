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
  /** The place in the whole model of the graph's first mask; 0. */
  readonly firstPlace?: number;
}

/** The lengths of a graph's named dimensions. */
export type NamedLengths = ReadonlyMap<string, number>;

// A mask is a function of two lists of random words, one for its rows and one for its columns: an
// element's word is mixed from the sum of its row's and its column's, and the element stays if what
// comes out is high enough. So a device that is told the lists makes the masks itself, of the same
// bits as the CPU, and nothing of their size goes to it. WebGPU's operators have no exclusive or and
// no shifts, but products of 32 bits wrap around everywhere: x (x + odd) takes each even number
// twice, and its high bits depend on all bits of x.
const FIRST = 0x2c1b3c6d;
const SECOND = 0x297a2d39;
/** Dividing by it brings high bits down to where the second product spreads them again. */
const HALF_WORD = 2 ** 16;

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
    const { rows, columns } = maskWords(shape, draw, place);
    return [input.name, boolean(fillMask(rows, columns, ratio), shape)];
  });
  return Object.fromEntries(entries);
}

/** A place where a graph makes its mask itself. */
export interface MixedMask {
  /** The names of the two inputs. */
  readonly rows: string;
  readonly columns: string;
  readonly shape: Shape;
}

/**
 * Dropout whose masks the graph makes of two short inputs each, noted in `masks`: the same that
 * {@link drawMasks} draws for the same place.
 */
export function mixingDropout(masks: MixedMask[]): Dropout {
  return (x, ratio) => {
    if (ratio === 0) return x;
    const { graph, shape } = x;
    const name = `dropout.${masks.length}`;
    const mask = { rows: `${name}.rows`, columns: `${name}.columns`, shape };
    masks.push(mask);
    const rows = graph.input(mask.rows, 'int32', shape.with(-1, 1));
    const columns = graph.input(mask.columns, 'int32', shape.slice(-1));
    return dropout(x, mixedMask(graph, rows, columns, shape, ratio), ratio);
  };
}

/** The inputs that {@link mixingDropout} declares. */
export function mixingFeeds(
  masks: readonly MixedMask[],
  lengths: NamedLengths,
  draw: MaskDraw,
): HostTensors {
  const entries = masks.flatMap((mask, place): (readonly [string, HostTensor])[] => {
    const shape = measured(mask.shape, lengths);
    const { rows, columns } = maskWords(shape, draw, place);
    return [
      [mask.rows, int32(rows, shape.with(-1, 1))],
      [mask.columns, int32(columns, [columns.length])],
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

/** The words of a mask, by a generator of its own for each place of a draw. */
function maskWords(
  shape: readonly number[],
  { seed, draw, firstPlace = 0 }: MaskDraw,
  place: number,
): MaskWords {
  const random = Random.restore([seed, draw, firstPlace + place, 1]);
  // After twelve rounds, states that resemble each other no longer do.
  for (let round = 0; round < 12; round++) random.uint32();
  const words = (count: number) => Int32Array.from({ length: count }, () => random.uint32());
  const rows = words(shape.slice(0, -1).reduce((product, length) => product * length, 1));
  return { rows, columns: words(shape.at(-1) ?? 1) };
}

/** A mask as bytes: 0 with probability `ratio`, else 1. */
function fillMask(rows: Int32Array, columns: Int32Array, ratio: number): Uint8Array {
  const mask = new Uint8Array(rows.length * columns.length);
  const limit = threshold(ratio);
  for (let row = 0, index = 0; row < rows.length; row++) {
    const rowWord = at(rows, row);
    for (let column = 0; column < columns.length; column++, index++) {
      const sum = (rowWord + at(columns, column)) | 0;
      const first = Math.imul(sum, (sum + FIRST) | 0);
      const folded = (first + ((first / HALF_WORD) | 0)) | 0;
      mask[index] = Number(Math.imul(folded, (folded + SECOND) | 0) >= limit);
    }
  }
  return mask;
}

/** What {@link fillMask} computes, as a tensor of truth values. */
function mixedMask(
  graph: Graph,
  rows: Tensor,
  columns: Tensor,
  shape: Shape,
  ratio: number,
): Tensor {
  const node = (operator: string, a: Tensor, b: Tensor, type: 'int32' | 'bool' = 'int32') => {
    const [output] = graph.node(operator, [a, b], [{ type, shape }]);
    if (output === undefined) throw new Error('A node of one output made none.');
    return output;
  };
  const sum = node('Add', rows, columns);
  const first = node('Mul', sum, node('Add', sum, graph.integer(FIRST)));
  const folded = node('Add', first, node('Div', first, graph.integer(HALF_WORD)));
  const second = node('Mul', folded, node('Add', folded, graph.integer(SECOND)));
  return node('GreaterOrEqual', second, graph.integer(threshold(ratio)), 'bool');
}
