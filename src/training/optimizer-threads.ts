import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { range } from '../base/arrays.js';
import type { Parameter } from '../model/index.js';
import { addressOf } from '../runtime/index.js';
import {
  type FlatBuffers,
  newTurns,
  passSchema,
  type Pass,
  type Piece,
  piecesOf,
  waitForOthers,
  workOn,
} from './optimizer-pass.js';

/** Below this many numbers a pass is over before another thread would have heard of it. */
const WORTH_A_THREAD = 2 ** 20;

const floatsSchema = z.object({ address: z.bigint(), length: z.number() });

/** What a thread is told of a pass. */
export const passMessageSchema = z.object({
  pass: passSchema,
  turns: z.instanceof(Int32Array),
  weights: floatsSchema,
  gradients: floatsSchema,
  firstMoments: floatsSchema,
  secondMoments: floatsSchema,
});

/** What a thread is told once: the pieces. */
export const piecesSchema = z.array(
  z.object({ parameter: z.number(), start: z.number(), stop: z.number() }),
);

/**
 * Passes over the flat buffers of weights, gradients and moments in which several threads share the
 * pieces. The calling thread takes part and waits for the others, so the buffers are at rest before
 * and after; a thread that is late or never comes takes no piece.
 */
export class OptimizerThreads {
  readonly pieces: readonly Piece[];
  readonly #helpers: readonly Worker[];

  /** @param threads those that work, the calling one included */
  constructor(layout: readonly Parameter[], threads: number) {
    this.pieces = piecesOf(layout);
    const total = layout.reduce((sum, { length }) => sum + length, 0);
    this.#helpers = range(1, total < WORTH_A_THREAD ? 1 : threads).map(() => {
      const helper = new Worker(new URL('./optimizer-worker.js', import.meta.url), {
        workerData: this.pieces,
      });
      // Training goes on without it; a piece that it had taken is reported where it is waited for.
      helper.on('error', () => undefined);
      helper.unref();
      return helper;
    });
  }

  /** Does with every piece what `pass` says. */
  run(pass: Pass, buffers: FlatBuffers): void {
    const turns = newTurns();
    const { weights, gradients, firstMoments, secondMoments } = buffers;
    for (const helper of this.#helpers) {
      helper.postMessage({
        pass,
        turns,
        weights: addressOf(weights),
        gradients: addressOf(gradients),
        firstMoments: addressOf(firstMoments),
        secondMoments: addressOf(secondMoments),
      });
    }
    workOn(pass, this.pieces, turns, () => buffers);
    waitForOthers(turns, this.pieces);
  }

  /** Ends the other threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#helpers.map((helper) => helper.terminate()));
  }
}
