import type { Evaluations } from '../evaluate.js';
import { printed } from '../numbers.js';
import type { PublishedName } from './published.js';

/** All that a report says. The same report gives the same bytes in each format. */
export interface Report extends Evaluations {
  /** Which published systems stand beside them. */
  readonly published?: PublishedName;
}

/** A table of each comparison's differences. */
export function comparisonTables(report: Report): { title: string; cells: string[][] }[] {
  return (report.comparisons ?? []).map(({ first, second, comparisons }) => ({
    title: `${second} against ${first} (paired bootstrap)`,
    cells: [
      ['Score', first, second, 'Difference', '95 % from', 'to', 'p'],
      ...comparisons.map((comparison) => [
        comparison.score,
        printed(comparison.first, 4),
        printed(comparison.second, 4),
        printed(comparison.difference, 4),
        printed(comparison.interval[0], 4),
        printed(comparison.interval[1], 4),
        printed(comparison.pValue, 3),
      ]),
    ],
  }));
}
