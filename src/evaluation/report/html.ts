import { at } from '../../base/arrays.js';
import { printed } from '../numbers.js';
import { comparisonTables, type Report } from './report.js';
import { type Column, type ReportTable, reportTable, type TableRow } from './table.js';

/** A page of its own: bars for each score, the table below, no script and nothing to load. */
export function toHtml(report: Report): string {
  const table = reportTable(report.evaluations, report.published);
  const charts = table.columns.map((column, index) => chart(table, column, index)).join('\n');
  const comparisons = comparisonTables(report)
    .map(({ title, cells }) => `<h2>${escapeHtml(title)}</h2>\n${htmlTable(cells)}`)
    .join('\n');
  const source =
    table.source === undefined
      ? ''
      : `<p>Published systems (grey): ${escapeHtml(table.source)}.</p>\n`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Evaluation</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); }
h2 { font-size: 1rem; margin: 0 0 .4rem; }
.row { display: grid; grid-template-columns: 11rem 1fr 4rem; gap: .5rem; align-items: center; }
.row span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row b { font-weight: normal; text-align: right; }
.bar { height: .9rem; background: #2563eb; border-radius: 2px; }
.published .bar { background: #9ca3af; }
table { border-collapse: collapse; margin-top: 1rem; }
td, th { padding: .2rem .7rem; text-align: right; }
td:first-child, th:first-child { text-align: left; }
tr:nth-child(even) { background: #f3f4f6; }
</style>
<h1>Evaluation</h1>
${source}<main>
${charts}
</main>
${comparisons}</html>
`;
}

function chart({ rows }: ReportTable, column: Column, index: number): string {
  const shown = rows.filter((row) => row.values[index] !== undefined);
  const largest = Math.max(...shown.map((row) => row.values[index] ?? 0), Number.MIN_VALUE);
  const bars = shown.map((row) => bar(row, row.values[index] ?? 0, largest, column.decimals));
  return `<section>\n<h2>${escapeHtml(column.name)}</h2>\n${bars.join('\n')}\n</section>`;
}

function bar(row: TableRow, value: number, largest: number, decimals: number): string {
  const width = printed((100 * value) / largest, 1);
  const name = escapeHtml(row.system);
  return (
    `<div class="row${row.isPublished ? ' published' : ''}"><span title="${name}">${name}</span>` +
    `<div><div class="bar" style="width:${width}%"></div></div><b>${printed(value, decimals)}</b></div>`
  );
}

function htmlTable(cells: readonly (readonly string[])[]): string {
  const row = (texts: readonly string[], tag: string): string =>
    `<tr>${texts.map((text) => `<${tag}>${escapeHtml(text)}</${tag}>`).join('')}</tr>`;
  return `<table>\n${row(at(cells, 0), 'th')}\n${cells
    .slice(1)
    .map((texts) => row(texts, 'td'))
    .join('\n')}\n</table>\n`;
}

/** Text as HTML shows it. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
