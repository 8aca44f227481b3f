// AssemblyScript, compiled to WebAssembly with SIMD: the optimizer's inner loops. They work on a
// stretch of numbers that the caller has copied into this module's memory; a stretch fits into a
// core's cache, so copying costs little beside reading the big buffers once.

/** The numbers in a stretch. */
const LENGTH: i32 = 16384;

const weights = memory.data(LENGTH * 4, 16);
const gradients = memory.data(LENGTH * 4, 16);
const firstMoments = memory.data(LENGTH * 4, 16);
const secondMoments = memory.data(LENGTH * 4, 16);

export function stretchLength(): i32 {
  return LENGTH;
}

export function weightsAddress(): usize {
  return weights;
}

export function gradientsAddress(): usize {
  return gradients;
}

export function firstMomentsAddress(): usize {
  return firstMoments;
}

export function secondMomentsAddress(): usize {
  return secondMoments;
}

/** The sum of the squares of the first `count` gradients, in double precision. */
export function sumOfSquares(count: i32): f64 {
  let sums = f64x2.splat(0);
  const whole = count & ~3;
  for (let index = 0; index < whole; index += 4) {
    const values = v128.load(gradients + ((<usize>index) << 2));
    const low = f64x2.promote_low_f32x4(values);
    const high = f64x2.promote_low_f32x4(
      i8x16.shuffle(values, values, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15),
    );
    sums = f64x2.add(sums, f64x2.add(f64x2.mul(low, low), f64x2.mul(high, high)));
  }
  let total = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  for (let index = whole; index < count; index++) {
    const value = <f64>load<f32>(gradients + ((<usize>index) << 2));
    total += value * value;
  }
  return total;
}

/**
 * One step of Adam on the first `count` numbers (rounded up to a multiple of 4):
 * m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², w ← w − rate (m / (√v + ε) + decay w),
 * with g the gradient times `scale`. The betas come in double precision, because 1 − 0.999 would
 * lose five of its digits in single.
 */
export function adam(
  count: i32,
  rate: f32,
  beta1: f64,
  beta2: f64,
  epsilon: f32,
  decay: f32,
  scale: f32,
): void {
  const rates = f32x4.splat(rate);
  const keep1 = f32x4.splat(<f32>beta1);
  const take1 = f32x4.splat(<f32>(1 - beta1));
  const keep2 = f32x4.splat(<f32>beta2);
  const take2 = f32x4.splat(<f32>(1 - beta2));
  const epsilons = f32x4.splat(epsilon);
  const decays = f32x4.splat(decay);
  const scales = f32x4.splat(scale);
  for (let index = 0; index < count; index += 4) {
    const offset = (<usize>index) << 2;
    const w = v128.load(weights + offset);
    const g = f32x4.mul(v128.load(gradients + offset), scales);
    const m = f32x4.add(f32x4.mul(v128.load(firstMoments + offset), keep1), f32x4.mul(g, take1));
    const v = f32x4.add(
      f32x4.mul(v128.load(secondMoments + offset), keep2),
      f32x4.mul(f32x4.mul(g, g), take2),
    );
    const step = f32x4.div(m, f32x4.add(f32x4.sqrt(v), epsilons));
    const update = f32x4.mul(f32x4.add(step, f32x4.mul(w, decays)), rates);
    v128.store(weights + offset, f32x4.sub(w, update));
    v128.store(firstMoments + offset, m);
    v128.store(secondMoments + offset, v);
  }
}
