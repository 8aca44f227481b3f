import { readFileSync } from 'node:fs';
import { z } from 'zod';

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
