import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type Parameter, ParameterBuffer } from '../model/index.js';

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

  /** @param layout that of the parameters which it is to change */
  constructor(layout: readonly Parameter[], options: AdamOptions = {}) {
    this.firstMoments = new ParameterBuffer(layout);
    this.secondMoments = new ParameterBuffer(layout);
    this.#options = completeAdamOptions(options);
  }

  /** Changes `parameters` by one step along `gradients`, which stay as they are. */
  step(parameters: ParameterBuffer, gradients: ParameterBuffer, learningRate: number): StepReport {
    const { clipping, decays, maxGradientNorm } = this.#options;
    const groups = new Map<string, number>();
    const groupOf = ({ name }: Parameter) =>
      clipping === 'tensor' ? name : decays(name) ? 'decayed' : 'others';
    let total = 0;
    for (const parameter of gradients.layout) {
      const squares = sumOfSquares(gradients.view(parameter));
      const group = groupOf(parameter);
      groups.set(group, (groups.get(group) ?? 0) + squares);
      total += squares;
    }
    for (const parameter of parameters.layout) {
      const norm = Math.sqrt(groups.get(groupOf(parameter)) ?? 0);
      this.#update(parameter, parameters, gradients, {
        rate: learningRate,
        decay: decays(parameter.name) ? this.#options.weightDecay : 0,
        scale: Math.min(1, maxGradientNorm / (norm + 1e-6)),
      });
    }
    return { gradientNorm: Math.sqrt(total) };
  }

  #update(
    parameter: Parameter,
    parameters: ParameterBuffer,
    gradients: ParameterBuffer,
    {
      rate,
      decay,
      scale,
    }: { readonly rate: number; readonly decay: number; readonly scale: number },
  ): void {
    const { beta1, beta2, epsilon } = this.#options;
    moveWeights(
      parameters.view(parameter),
      gradients.view(parameter),
      this.firstMoments.view(parameter),
      this.secondMoments.view(parameter),
      { rate, decay, scale, beta1, beta2, epsilon },
    );
  }
}

/** The numbers of one step of Adam. */
export interface AdamStep {
  readonly rate: number;
  readonly decay: number;
  /** What gradients are multiplied by. */
  readonly scale: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** Moves weights and their moments, all of one length, by one step of Adam without correction. */
export function moveWeights(
  weights: Float32Array,
  gradients: Float32Array,
  firstMoments: Float32Array,
  secondMoments: Float32Array,
  { rate, decay, scale, beta1, beta2, epsilon }: AdamStep,
): void {
  for (let start = 0; start < weights.length; start += kernel.length) {
    const stop = Math.min(weights.length, start + kernel.length);
    const places: readonly (readonly [Float32Array, Float32Array])[] = [
      [kernel.weights, weights.subarray(start, stop)],
      [kernel.firstMoments, firstMoments.subarray(start, stop)],
      [kernel.secondMoments, secondMoments.subarray(start, stop)],
    ];
    for (const [inside, outside] of places) inside.set(outside);
    kernel.gradients.set(gradients.subarray(start, stop));
    kernel.adam(stop - start, rate, beta1, beta2, epsilon, decay, scale);
    for (const [inside, outside] of places) outside.set(inside.subarray(0, stop - start));
  }
}

/** The sum of squares, in double precision. */
export function sumOfSquares(values: Float32Array): number {
  let total = 0;
  for (let start = 0; start < values.length; start += kernel.length) {
    const stretch = values.subarray(start, start + kernel.length);
    kernel.gradients.set(stretch);
    total += kernel.sumOfSquares(stretch.length);
  }
  return total;
}

const exportSchema = z.object({
  memory: z.instanceof(WebAssembly.Memory),
  stretchLength: z.custom<() => number>((value) => typeof value === 'function'),
  weightsAddress: z.custom<() => number>((value) => typeof value === 'function'),
  gradientsAddress: z.custom<() => number>((value) => typeof value === 'function'),
  firstMomentsAddress: z.custom<() => number>((value) => typeof value === 'function'),
  secondMomentsAddress: z.custom<() => number>((value) => typeof value === 'function'),
  sumOfSquares: z.custom<(count: number) => number>((value) => typeof value === 'function'),
  adam: z.custom<
    (
      count: number,
      rate: number,
      beta1: number,
      beta2: number,
      epsilon: number,
      decay: number,
      scale: number,
    ) => void
  >((value) => typeof value === 'function'),
});

const kernel = loadKernel();

function loadKernel() {
  const bytes = readFileSync(new URL('./kernels/optimizer.wasm', import.meta.url));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const module = exportSchema.parse({ ...exports });
  const length = module.stretchLength();
  const view = (address: number) => new Float32Array(module.memory.buffer, address, length);
  return {
    length,
    weights: view(module.weightsAddress()),
    gradients: view(module.gradientsAddress()),
    firstMoments: view(module.firstMomentsAddress()),
    secondMoments: view(module.secondMomentsAddress()),
    sumOfSquares: module.sumOfSquares,
    adam: module.adam,
  };
}
