/**
 * A number with `decimals` decimals as C's printf, Perl and Python print it: where it lies exactly
 * between two, the even one is taken (JavaScript's toFixed takes the larger).
 */
export function printed(number: number, decimals: number): string {
  // A tie is an odd multiple of ½·10^−decimals that is exact in binary: an odd multiple of
  // 2^−(decimals + 1).
  const half = number * 2 ** (decimals + 1);
  if (Number.isInteger(half) && half % 2 !== 0) {
    const lower = Math.floor(number * 10 ** decimals);
    const even = lower % 2 === 0 ? lower : lower + 1;
    return (even / 10 ** decimals).toFixed(decimals);
  }
  return number.toFixed(decimals);
}

/** A number as Python's `str` writes it: `1.0`, `1e-05`, `nan`. */
export function pythonFloat(number: number): string {
  if (Number.isNaN(number)) return 'nan';
  if (!Number.isFinite(number)) return number > 0 ? 'inf' : '-inf';
  const size = Math.abs(number);
  if (number !== 0 && (size < 1e-4 || size >= 1e16)) {
    return number.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  const text = number.toString();
  return /^-?\d+$/.test(text) ? `${Object.is(number, -0) ? '-0' : text}.0` : text;
}
