/**
 * 16-bit floating-point numbers and 32-bit ones, bit for bit. Everything works on the bits rather
 * than on JavaScript numbers, so that the payload of a NaN survives too.
 */

let halfTable: Uint32Array | undefined;

/** The bits of the 32-bit number equal to the IEEE 754 half-precision number with bits `half`. */
function widenHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // A subnormal half is a normal 32-bit number: its leading one moves to the hidden place.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | ((fraction << (13 + shift)) & 0x7fffff)) >>> 0;
}

/** Writes the 16-bit halves of `source` as 32-bit numbers (as bits) into `target`. */
export function halfToFloat(source: Uint16Array, target: Uint32Array): void {
  halfTable ??= Uint32Array.from({ length: 1 << 16 }, (_, half) => widenHalf(half));
  for (let index = 0; index < source.length; index++) {
    target[index] = halfTable[source[index] ?? 0] ?? 0;
  }
}

/** Writes the bfloat16 numbers of `source` as 32-bit numbers (as bits) into `target`. */
export function brainToFloat(source: Uint16Array, target: Uint32Array): void {
  for (let index = 0; index < source.length; index++) target[index] = (source[index] ?? 0) << 16;
}

/** Rounds 32-bit numbers (as bits) to the nearest halves, ties to even, as PyTorch's `.half()`. */
export function floatToHalf(source: Uint32Array, target: Uint16Array): void {
  for (let index = 0; index < source.length; index++) {
    target[index] = narrowToHalf(source[index] ?? 0);
  }
}

function narrowToHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and more round to infinity
  if (magnitude < 0x33000000) return sign; // below half of the smallest subnormal
  const exponent = magnitude >>> 23;
  if (exponent >= 113) return sign | roundBits((magnitude - (112 << 23)) >>> 0, 13);
  return sign | roundBits((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
}

/** `value` without its last `places` bits, rounded to the nearest, ties to even. */
function roundBits(value: number, places: number): number {
  const kept = value >>> places;
  const dropped = value & ((1 << places) - 1);
  const half = 1 << (places - 1);
  return dropped > half || (dropped === half && (kept & 1) === 1) ? kept + 1 : kept;
}
