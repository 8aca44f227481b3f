import { at } from '../../base/arrays.js';
import type { Evaluation } from '../evaluate.js';
import { pythonFloat } from '../numbers.js';
import { toHtml } from './html.js';
import { comparisonTables, type Report } from './report.js';
import { cellsOf, reportTable } from './table.js';

/** The formats of reports, and the ends of file names that stand for them. */
export const REPORT_FORMATS = {
  table: '.txt',
  json: '.json',
  tsv: '.tsv',
  markdown: '.md',
  latex: '.tex',
  html: '.html',
} as const;

export type ReportFormat = keyof typeof REPORT_FORMATS;

/** Writes a report in one format; it ends with a line end. */
export function formatReport(report: Report, format: ReportFormat): string {
  switch (format) {
    case 'table':
      return toText(report);
    case 'json':
      return toJson(report);
    case 'tsv':
      return toTsv(report.evaluations);
    case 'markdown':
      return toMarkdown(report);
    case 'latex':
      return toLatex(report);
    case 'html':
      return toHtml(report);
  }
}

/** One system as an object of its scores; several as `systems`. */
function toJson({ evaluations, comparisons }: Report): string {
  const [only, ...others] = evaluations;
  const value =
    others.length === 0 && comparisons === undefined ? only : { systems: evaluations, comparisons };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** The columns of the original's `report_ref6_cleaned.tsv`, its numbers as Python writes them. */
function toTsv(evaluations: readonly Evaluation[]): string {
  const numbered = (name: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${name}${index + 1}`);
  const header = [
    ...['fname', 'n_lines', ...numbered('nist', 4), ...numbered('bleu', 4), 'meteor'],
    ...[...numbered('entropy', 4), 'div1', 'div2', 'avg_len'],
  ];
  const rows = evaluations.map((evaluation) => [
    evaluation.system,
    String(evaluation.instances),
    ...[
      ...evaluation.nist,
      ...evaluation.bleu,
      evaluation.meteor,
      ...evaluation.entropy,
      ...evaluation.distinct,
      evaluation.avgLength,
    ].map(pythonFloat),
  ]);
  return [header, ...rows].map((row) => `${row.join('\t')}\n`).join('');
}

function toText(report: Report): string {
  const table = reportTable(report.evaluations, report.published);
  // Systems side by side: thirteen scores fit a terminal better one below the other.
  const text = alignColumns(transpose(cellsOf(table, '-')));
  const source = table.source === undefined ? '' : `\nPublished: ${table.source}\n`;
  return [
    text + source,
    ...comparisonTables(report).map(({ title, cells }) => `${title}\n${alignColumns(cells)}`),
  ].join('\n');
}

function toMarkdown(report: Report): string {
  const table = reportTable(report.evaluations, report.published);
  const source = table.source === undefined ? '' : `\nPublished: ${table.source}\n`;
  return [
    markdownTable(cellsOf(table, '')) + source,
    ...comparisonTables(report).map(({ title, cells }) => `${title}\n\n${markdownTable(cells)}`),
  ].join('\n');
}

/** Rows for a LaTeX tabular, the header as a comment. */
function toLatex(report: Report): string {
  const [header = [], ...rows] = cellsOf(reportTable(report.evaluations, report.published), '--');
  const lines = rows.map((row) => `${row.map(escapeLatex).join(' & ')} \\\\`);
  return `% ${header.join(' & ')}\n${lines.join('\n')}\n`;
}

/** Columns as wide as their widest cell; numbers to the right. */
export function alignColumns(cells: readonly (readonly string[])[]): string {
  const widths = at(cells, 0).map((_, column) =>
    Math.max(...cells.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(at(widths, column)) : cell.padStart(at(widths, column)),
      )
      .join('  ')
      .trimEnd();
  return cells.map((row) => `${line(row)}\n`).join('');
}

function transpose(cells: readonly (readonly string[])[]): string[][] {
  return at(cells, 0).map((_, column) => cells.map((row) => at(row, column)));
}

function markdownTable(cells: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell) => cell.replace(/[\\|]/g, '\\$&')).join(' | ')} |\n`;
  const [header = [], ...rows] = cells;
  const rule = `|${header.map((_, column) => (column === 0 ? '---|' : '---:|')).join('')}\n`;
  return line(header) + rule + rows.map(line).join('');
}

function escapeLatex(text: string): string {
  return text.replace(/[\\{}$&#^_%~]/g, (character) => {
    if (character === '\\') return '\\textbackslash{}';
    if (character === '^') return '\\textasciicircum{}';
    if (character === '~') return '\\textasciitilde{}';
    return `\\${character}`;
  });
}
