/**
 * Krippendorff's α, how far judges agree beyond chance: 1 where they always do, 0 where as often
 * as chance would have it (Krippendorff 2011, https://repository.upenn.edu/asc_papers/43).
 *
 * @param units For each thing judged, the answers it got; things with one answer say nothing.
 * @param difference How far two answers are apart: 0 or 1 for names, the squared distance for
 *   numbers.
 * @returns undefined where no two judges judged the same thing, or all answers are the same.
 */
export function krippendorffAlpha<T>(
  units: readonly (readonly T[])[],
  difference: (a: T, b: T) => number,
): number | undefined {
  const counts = new Map<T, number>();
  let answers = 0;
  let observed = 0;
  for (const unit of units) {
    if (unit.length < 2) continue;
    let within = 0;
    for (const a of unit) {
      for (const b of unit) within += difference(a, b);
      counts.set(a, (counts.get(a) ?? 0) + 1);
    }
    observed += within / (unit.length - 1);
    answers += unit.length;
  }
  let expected = 0;
  for (const [a, countA] of counts) {
    for (const [b, countB] of counts) expected += countA * countB * difference(a, b);
  }
  return expected === 0 ? undefined : 1 - ((answers - 1) * observed) / expected;
}
