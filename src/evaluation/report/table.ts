import { at } from '../../base/arrays.js';
import type { Evaluation } from '../evaluate.js';
import { printed } from '../numbers.js';
import { PUBLISHED, type PublishedName } from './published.js';

/** A column of the report: a score in the unit that the paper prints. */
export interface Column {
  readonly name: string;
  readonly decimals: number;
  readonly valueOf: (evaluation: Evaluation) => number | undefined;
}

/** A system and its scores, one for each column; published systems lack some. */
export interface TableRow {
  readonly system: string;
  readonly values: readonly (number | undefined)[];
  readonly isPublished: boolean;
}

/** What all formats but JSON and TSV print. */
export interface ReportTable {
  readonly columns: readonly Column[];
  readonly rows: readonly TableRow[];
  /** Where the published rows are from. */
  readonly source?: string;
}

const percent = (number: number | undefined): number | undefined =>
  number === undefined ? undefined : 100 * number;

/** The paper's columns, then ours. */
function columnsFor(meteorStages: string): Column[] {
  return [
    { name: 'NIST-2', decimals: 2, valueOf: ({ nist }) => nist[1] },
    { name: 'NIST-4', decimals: 2, valueOf: ({ nist }) => nist[3] },
    { name: 'BLEU-2 %', decimals: 2, valueOf: ({ bleu }) => percent(bleu[1]) },
    { name: 'BLEU-4 %', decimals: 2, valueOf: ({ bleu }) => percent(bleu[3]) },
    {
      name: `${meteorName(meteorStages)} %`,
      decimals: 2,
      valueOf: ({ meteor }) => percent(meteor),
    },
    { name: 'Entropy-4', decimals: 2, valueOf: ({ entropy }) => entropy[3] },
    { name: 'Distinct-1 %', decimals: 2, valueOf: ({ distinct }) => percent(distinct[0]) },
    { name: 'Distinct-2 %', decimals: 2, valueOf: ({ distinct }) => percent(distinct[1]) },
    { name: 'Length', decimals: 1, valueOf: ({ avgLength }) => avgLength },
    { name: 'sacreBLEU', decimals: 2, valueOf: ({ sacreBleu }) => sacreBleu },
    { name: 'ROUGE-L %', decimals: 2, valueOf: ({ rougeL }) => percent(rougeL) },
    { name: 'CIDEr', decimals: 3, valueOf: ({ cider }) => cider },
    { name: 'chrF', decimals: 2, valueOf: ({ chrf }) => chrf },
  ];
}

/** METEOR, with its matchers named where some are missing: its numbers differ then. */
export function meteorName(stages: string): string {
  return stages.endsWith('paraphrase') ? 'METEOR' : `METEOR (${stages})`;
}

/** The table of a report, published systems first. */
export function reportTable(
  evaluations: readonly Evaluation[],
  published?: PublishedName,
): ReportTable {
  const columns = columnsFor(at(evaluations, 0).meteorStages);
  const table = published && PUBLISHED[published];
  const publishedRows = (table?.rows ?? []).map(([system, ...values]): TableRow => ({
    system,
    values: columns.map((_, index) => values[index]),
    isPublished: true,
  }));
  return {
    columns,
    rows: [
      ...publishedRows,
      ...evaluations.map((evaluation): TableRow => ({
        system: evaluation.system,
        values: columns.map((column) => column.valueOf(evaluation)),
        isPublished: false,
      })),
    ],
    ...(table && { source: table.source }),
  };
}

/** The table as text: a header, then a row a system. */
export function cellsOf({ columns, rows }: ReportTable, missing: string): string[][] {
  return [
    ['System', ...columns.map((column) => column.name)],
    ...rows.map((row) => [
      row.system,
      ...row.values.map((value, index) =>
        value === undefined ? missing : printed(value, at(columns, index).decimals),
      ),
    ]),
  ];
}
