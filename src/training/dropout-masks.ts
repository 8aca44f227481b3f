import { Random } from '../base/random.js';
import { boolean, type HostTensor, type HostTensors } from '../runtime/index.js';
import type { LossGraph } from './loss-graph.js';

/** Which masks to draw; the same are the same wherever they are drawn. */
export interface MaskDraw {
  readonly seed: number;
  /** The number of the batch. */
  readonly draw: number;
  /** The place in the whole model of the graph's first mask; 0. */
  readonly firstPlace?: number;
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
  { seed, draw, firstPlace = 0 }: MaskDraw,
): HostTensors {
  const lengths = new Map<string, number>();
  for (const { name, shape } of graph.inputs) {
    const sizes = feeds[name]?.dims ?? [];
    for (const [axis, dimension] of shape.entries()) {
      const size = sizes[axis];
      if (typeof dimension === 'string' && size !== undefined) lengths.set(dimension, size);
    }
  }
  const entries = masks.map(({ input, ratio }, place): readonly [string, HostTensor] => {
    const shape = input.shape.map((dimension) => {
      const length = typeof dimension === 'number' ? dimension : lengths.get(dimension);
      if (length === undefined) throw new Error(`Nothing tells the length of ${dimension}.`);
      return length;
    });
    const mask = new Uint8Array(shape.reduce((product, length) => product * length, 1));
    fillMask(mask, ratio, generatorOf(seed, draw, firstPlace + place));
    return [input.name, boolean(mask, shape)];
  });
  return Object.fromEntries(entries);
}

/** A generator of its own for each place of a draw. */
function generatorOf(seed: number, draw: number, place: number): Random {
  const random = Random.restore([seed, draw, place, 1]);
  // After twelve rounds, states that resemble each other no longer do.
  for (let round = 0; round < 12; round++) random.uint32();
  return random;
}

/** Sets each element to 0 with probability `ratio` (to 2⁻¹⁷), else to 1. */
function fillMask(mask: Uint8Array, ratio: number, random: Random): void {
  const threshold = Math.round(ratio * 2 ** 16);
  for (let index = 0; index < mask.length; index += 2) {
    // One word of 32 bits decides two elements; the last may lie behind the end.
    const word = random.uint32();
    mask[index] = Number(word >>> 16 >= threshold);
    mask[index + 1] = Number((word & 0xffff) >= threshold);
  }
}
