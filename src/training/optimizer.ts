import { availableParallelism } from 'node:os';
import { at, sum } from '../base/arrays.js';
import { type Parameter, ParameterBuffer } from '../model/index.js';
import type { FlatBuffers } from './optimizer-pass.js';
import { OptimizerThreads } from './optimizer-threads.js';

/** A few threads take all numbers as fast as memory gives them. */
const MOST_THREADS = 4;

/** How {@link Adam} is configured; what is left out is as the original has it. */
export interface AdamOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decay of decayed parameters, relative to the learning rate. */
  readonly weightDecay?: number;
  /** Whether a parameter decays; by default all but biases and layer norms. */
  readonly decays?: (name: string) => boolean;
  /** The largest norm of a gradient; longer ones are scaled down to it. */
  readonly maxGradientNorm?: number;
  /** Which gradients' norm is taken together: all decayed and all other parameters', or each own. */
  readonly clipping?: 'group' | 'tensor';
}

/** {@link AdamOptions} with what is left out filled in. */
export type CompleteAdamOptions = Required<AdamOptions>;

/** Fills in what is left out: as the original has it. */
export function completeAdamOptions(options: AdamOptions = {}): CompleteAdamOptions {
  return {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    decays: decaysInOriginal,
    maxGradientNorm: 1,
    clipping: 'group',
    ...options,
  };
}

/** What is known after a step. */
export interface StepReport {
  /** The norm of all gradients before clipping. */
  readonly gradientNorm: number;
}

/** Whether a parameter decays in the original: its name contains neither `bias` nor `ln`. */
export function decaysInOriginal(name: string): boolean {
  return !name.includes('bias') && !name.includes('ln');
}

/**
 * The original's Adam (`LSP_train.py` with its default `--fp16 true`, that is apex's `FusedAdam`
 * with `bias_correction=False`): no bias correction, epsilon outside the root, decay inside the
 * update, and the norms of decayed and other gradients clipped group by group. With
 * `clipping: 'tensor'`, `epsilon: 1e-6` and decay for everything it is the `Adam` of its
 * `lsp_model/optim.py`, which `--fp16 false` uses.
 */
export class Adam {
  readonly firstMoments: ParameterBuffer;
  readonly secondMoments: ParameterBuffer;
  readonly #options: CompleteAdamOptions;

  readonly #threads: OptimizerThreads;

  /**
   * @param layout that of the parameters which it is to change
   * @param threads those that work together; the numbers are the same with any number of them
   */
  constructor(
    layout: readonly Parameter[],
    options: AdamOptions = {},
    threads = availableParallelism(),
  ) {
    this.firstMoments = new ParameterBuffer(layout);
    this.secondMoments = new ParameterBuffer(layout);
    this.#options = completeAdamOptions(options);
    this.#threads = new OptimizerThreads(layout, Math.min(threads, MOST_THREADS));
  }

  /** Changes `parameters` by one step along `gradients`, which stay as they are. */
  step(parameters: ParameterBuffer, gradients: ParameterBuffer, learningRate: number): StepReport {
    const { clipping, decays, maxGradientNorm, weightDecay, beta1, beta2, epsilon } = this.#options;
    const { layout } = parameters;
    const buffers = {
      weights: parameters.buffer,
      gradients: gradients.buffer,
      firstMoments: this.firstMoments.buffer,
      secondMoments: this.secondMoments.buffer,
    };
    const groupOf = ({ name }: Parameter) =>
      clipping === 'tensor' ? name : decays(name) ? 'decayed' : 'others';
    const squares = this.#sumsOfSquares(buffers);
    const groups = new Map<string, number>();
    for (const [index, parameter] of layout.entries()) {
      const group = groupOf(parameter);
      groups.set(group, (groups.get(group) ?? 0) + at(squares, index));
    }
    this.#threads.run(
      {
        kind: 'move',
        rate: learningRate,
        beta1,
        beta2,
        epsilon,
        decays: layout.map(({ name }) => (decays(name) ? weightDecay : 0)),
        scales: layout.map((parameter) => {
          const norm = Math.sqrt(groups.get(groupOf(parameter)) ?? 0);
          return Math.min(1, maxGradientNorm / (norm + 1e-6));
        }),
      },
      buffers,
    );
    return { gradientNorm: Math.sqrt(sum(squares)) };
  }

  /** The sum of the squares of each parameter's gradients. */
  #sumsOfSquares(buffers: FlatBuffers): readonly number[] {
    const { pieces } = this.#threads;
    const sums = new Float64Array(
      new SharedArrayBuffer(pieces.length * Float64Array.BYTES_PER_ELEMENT),
    );
    this.#threads.run({ kind: 'squares', sums }, buffers);
    const totals = this.firstMoments.layout.map(() => 0);
    for (const [index, { parameter }] of pieces.entries()) {
      totals[parameter] = at(totals, parameter) + at(sums, index);
    }
    return totals;
  }

  /** Ends its threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]();
  }
}
