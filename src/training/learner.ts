import type { Batch, BatchRounding } from './batch.js';
import type { LossScaleState } from './loss-scale.js';
import type { ParameterBuffer } from '../model/index.js';

/** What an update of the weights did. */
export interface UpdateReport {
  /** The losses of each batch since the last update, in order: `[labels]`. */
  readonly losses: readonly Float32Array[];
  /** The norm of all gradients before clipping; not finite where they overflowed. */
  readonly gradientNorm: number;
  /** Whether nothing was changed because the gradients overflowed in half precision. */
  readonly skipped: boolean;
}

/** Adam's moments, one for each number that is trained. */
export interface Moments {
  readonly firstMoments: ParameterBuffer;
  readonly secondMoments: ParameterBuffer;
}

/**
 * What computes a training run's steps, and holds its weights, gradients and moments where it likes:
 * in this process's memory, or on a device.
 */
export interface Learner {
  /**
   * Adds the gradient of `scale · Σ losses` to that of the batches since the last update.
   *
   * @param last whether the update comes next, so that gradients may go to other processes early
   */
  backward(batch: Batch, scale: number, draw: number, last?: boolean): Promise<void>;
  /** Moves the weights along the gradients of all batches since the last update. */
  update(learningRate: number): Promise<UpdateReport>;
  /** The loss of each label of a batch, without dropout: `[labels]`. */
  losses(batch: Batch): Promise<Float32Array>;
  /** Brings the weights into the parameters that it was made with. */
  collectWeights(): Promise<void>;
  /** The moments as they are now. */
  collectMoments(): Promise<Moments>;
  /** How the lengths of batches should be rounded. */
  readonly rounding: BatchRounding;
  /** Where the scaling of the loss stands; undefined in single precision. */
  readonly lossScale: LossScaleState | undefined;
  [Symbol.asyncDispose](): Promise<void>;
}
