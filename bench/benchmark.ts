import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One benchmark: prints a readable account as it goes, and returns its figures. */
export interface Benchmark {
  /** What it measures, in a line. */
  readonly description: string;
  /** @param print takes a line for people; @returns the figures, for programs */
  run(print: (line: string) => void): Promise<Readonly<Record<string, unknown>>>;
}

/** Runs a benchmark; the last line that it prints, or with `json` the only one, is JSON. */
export async function runBenchmark(benchmark: Benchmark, json: boolean): Promise<void> {
  const print = (line: string) => {
    if (!json) console.log(line);
  };
  print(benchmark.description);
  const figures = await benchmark.run(print);
  console.log(JSON.stringify(figures));
}

/** The middle of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}

/** The number below which that share of some numbers is. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** A folder for a benchmark's files, which goes with them when it is disposed of. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'dialogpt-bench-'));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Seconds that some work takes. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** Rows as a table, each column as wide as its widest cell; numbers should come formatted. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
}
