/** The widest and the narrowest that a bar may be, in columns. */
const WIDEST = 80;
const NARROWEST = 10;
/** A histogram has no more lines than this; neighbours are added up. */
const MOST_LINES = 20;

/**
 * Counts as bars that fill the terminal's width, each with what it counts before it and the number
 * and share behind it.
 *
 * @param counts how often 0, 1, 2, … occur; the empty ones at the start are left out
 * @param step how many values each count stands for
 */
export function histogram(
  title: string,
  counts: readonly number[],
  step = 1,
  columns = process.stdout.columns,
): string {
  const first = counts.findIndex((count) => count > 0);
  if (first < 0) return `${title}: none`;
  const together = Math.ceil((counts.length - first) / MOST_LINES);
  const start = Math.floor(first / together) * together;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const bars = [];
  for (let index = start; index < counts.length; index += together) {
    const count = counts.slice(index, index + together).reduce((sum, more) => sum + more, 0);
    const [low, high] = [index * step, (index + together) * step - 1];
    bars.push({ name: low === high ? String(low) : `${low}-${high}`, count });
  }
  const nameWidth = Math.max(...bars.map(({ name }) => name.length));
  const countWidth = Math.max(...bars.map(({ count }) => String(count).length));
  const room = (columns || WIDEST) - nameWidth - countWidth - ' 100.0 %    '.length;
  const width = Math.max(NARROWEST, Math.min(WIDEST, room));
  const largest = Math.max(...bars.map(({ count }) => count));
  const lines = bars.map(({ name, count }) => {
    const bar = '█'.repeat(Math.ceil((count / largest) * width)).padEnd(width);
    const share = `${((100 * count) / total).toFixed(1)} %`.padStart(8);
    return `  ${name.padStart(nameWidth)} ${bar} ${String(count).padStart(countWidth)}${share}`;
  });
  return [title, ...lines].join('\n');
}
