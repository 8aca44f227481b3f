import { z } from 'zod';
import { at } from '../base/arrays.js';
import type { Parameter } from '../model/index.js';
import { moveWeights, sumOfSquares } from './optimizer-kernel.js';

/** The most numbers in a piece: enough that taking one costs nothing beside working on it. */
const PIECE_LENGTH = 2 ** 18;

/** A stretch of the flat buffers that belongs to one parameter. */
export interface Piece {
  /** The parameter's place in the layout. */
  readonly parameter: number;
  readonly start: number;
  readonly stop: number;
}

/** Cuts all parameters into pieces, in order. */
export function piecesOf(layout: readonly Parameter[]): readonly Piece[] {
  return layout.flatMap(({ offset, length }, parameter) => {
    const count = Math.ceil(length / PIECE_LENGTH);
    return Array.from({ length: count }, (_, index) => ({
      parameter,
      start: offset + index * PIECE_LENGTH,
      stop: offset + Math.min(length, (index + 1) * PIECE_LENGTH),
    }));
  });
}

/** What a pass over all pieces is to do with each. */
export const passSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('squares'),
    /** For each piece, where the sum of its gradients' squares goes. */
    sums: z.custom<Float64Array>((value) => value instanceof Float64Array),
  }),
  z.object({
    kind: z.literal('move'),
    rate: z.number(),
    beta1: z.number(),
    beta2: z.number(),
    epsilon: z.number(),
    /** For each parameter of the layout. */
    decays: z.array(z.number()),
    scales: z.array(z.number()),
  }),
]);

/** What a pass over all pieces is to do with each. */
export type Pass = z.infer<typeof passSchema>;

/** The flat buffers that a pass works on. */
export interface FlatBuffers {
  readonly weights: Float32Array;
  readonly gradients: Float32Array;
  readonly firstMoments: Float32Array;
  readonly secondMoments: Float32Array;
}

/** The places in {@link Turns}. */
const NEXT = 0;
const DONE = 1;
const FAILED = 2;

/** Who takes which piece of one pass: the next piece, those done, and those that failed. */
export type Turns = Int32Array;

/** Turns of a pass that nobody has begun. */
export function newTurns(): Turns {
  return new Int32Array(new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT));
}

/**
 * Works on one piece after the other, of those that no other thread has taken. Which thread takes
 * which makes no difference to the numbers.
 *
 * @param open gives the buffers once there is a piece to work on
 */
export function workOn(
  pass: Pass,
  pieces: readonly Piece[],
  turns: Turns,
  open: () => FlatBuffers,
): void {
  let buffers: FlatBuffers | undefined;
  for (;;) {
    const index = Atomics.add(turns, NEXT, 1);
    if (index >= pieces.length) return;
    try {
      workOnPiece(pass, at(pieces, index), index, (buffers ??= open()));
    } catch (error) {
      Atomics.add(turns, FAILED, 1);
      throw error;
    } finally {
      Atomics.add(turns, DONE, 1);
      Atomics.notify(turns, DONE);
    }
  }
}

/** Waits until the threads that took pieces are done with them. */
export function waitForOthers(turns: Turns, pieces: readonly Piece[]): void {
  for (;;) {
    const done = Atomics.load(turns, DONE);
    if (done >= pieces.length) break;
    Atomics.wait(turns, DONE, done);
  }
  if (Atomics.load(turns, FAILED) > 0) throw new Error('A thread of the optimizer failed.');
}

function workOnPiece(pass: Pass, piece: Piece, index: number, buffers: FlatBuffers): void {
  const { parameter, start, stop } = piece;
  const { weights, gradients, firstMoments, secondMoments } = buffers;
  if (pass.kind === 'squares') {
    pass.sums[index] = sumOfSquares(gradients.subarray(start, stop));
    return;
  }
  moveWeights(
    weights.subarray(start, stop),
    gradients.subarray(start, stop),
    firstMoments.subarray(start, stop),
    secondMoments.subarray(start, stop),
    { ...pass, decay: at(pass.decays, parameter), scale: at(pass.scales, parameter) },
  );
}
