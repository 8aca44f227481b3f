import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  compareSystems,
  evaluateSystems,
  formatReport,
  type Metric,
  mtevalMetric,
  REPORT_FORMATS,
  type ReportFormat,
} from '../../src/evaluation/index.js';
import { printed, pythonFloat } from '../../src/evaluation/numbers.js';
import type { Report } from '../../src/evaluation/report/report.js';
import { goldenCorpus } from './golden.js';

const corpus = goldenCorpus();
const reversed = { ...corpus, hypotheses: corpus.hypotheses.map((text) => `${text} so`) };

async function makeReport(): Promise<Report> {
  const systems = [
    { system: 'plain', corpus },
    { system: 'so_50%|<b>', corpus: reversed },
  ];
  return { ...(await evaluateSystems(systems, { significance: true })), published: 'dstc7' };
}

const formats = [
  'table',
  'json',
  'tsv',
  'markdown',
  'latex',
  'html',
] as const satisfies ReportFormat[];

const report = await makeReport();

describe('reports', () => {
  const inFormat = (format: ReportFormat): string => formatReport(report, format);

  it('have the same bytes for the same input in every format', async () => {
    assert.equal(formats.length, Object.keys(REPORT_FORMATS).length);
    const again = await makeReport();
    for (const format of formats) assert.equal(formatReport(again, format), inFormat(format));
  });

  it("write the original's TSV, numbers as Python has them", () => {
    const [header, first] = inFormat('tsv').split('\n');
    assert.equal(
      header,
      'fname n_lines nist1 nist2 nist3 nist4 bleu1 bleu2 bleu3 bleu4 meteor entropy1 entropy2 entropy3 entropy4 div1 div2 avg_len'.replaceAll(
        ' ',
        '\t',
      ),
    );
    const cells = first?.split('\t') ?? [];
    assert.equal(cells.length, 18);
    assert.deepEqual(cells.slice(0, 2), ['plain', '240']);
    assert.equal(cells[2], pythonFloat(report.evaluations[0]?.nist[0] ?? NaN));
  });

  it('name the matchers METEOR lacks', () => {
    assert.match(inFormat('table'), /METEOR \(exact\+stem\) %/);
  });

  it('show published systems beside ours', () => {
    assert.match(inFormat('markdown'), /\| DSTC-7 winner \| 2\.51 \| 2\.52 \| 14\.35 \| 1\.83 \|/);
    assert.match(inFormat('table'), /Published: README of github.com\/microsoft\/DialoGPT/);
    assert.match(inFormat('html'), /class="row published"><span title="DialoGPT 345M">/);
  });

  it('escape names for their format', () => {
    assert.match(inFormat('markdown'), /so_50%\\\|<b>/);
    assert.match(inFormat('latex'), /so\\_50\\%\|<b> & /);
    assert.match(inFormat('html'), /so_50%\|&lt;b&gt;/);
    assert.doesNotMatch(inFormat('html'), /<b>so|<script/);
  });

  it('give one system as an object and several as a list', () => {
    const single: unknown = JSON.parse(
      formatReport({ evaluations: report.evaluations.slice(0, 1) }, 'json'),
    );
    assert.ok(typeof single === 'object' && single !== null && 'avgLength' in single);
    const several: unknown = JSON.parse(inFormat('json'));
    assert.ok(typeof several === 'object' && several !== null && 'systems' in several);
  });
});

describe('compareSystems', () => {
  // A metric whose distribution is known: the mean of one number an instance.
  const mean: Metric = {
    name: 'mean',
    labels: ['mean'],
    statistics: ({ hypotheses }) => hypotheses.map((text) => Float64Array.of(Number(text), 1)),
    score: (total) => [(total[0] ?? NaN) / (total[1] ?? NaN)],
  };
  const of = (numbers: readonly number[]): typeof corpus => ({
    hypotheses: numbers.map(String),
    references: numbers.map(() => ['']),
  });
  const numbers = Array.from({ length: 400 }, (_, index) => (index * 7919) % 401);

  it('agrees with the theory of means', () => {
    const shifted = numbers.map((number, index) => number + ((index * 104729) % 21) - 9);
    const differences = shifted.map((number, index) => number - (numbers[index] ?? 0));
    const difference = differences.reduce((sum, number) => sum + number, 0) / 400;
    const variance = differences.reduce((sum, number) => sum + (number - difference) ** 2, 0) / 400;
    const error = Math.sqrt(variance / 400);
    const [comparison] = compareSystems(mean, of(numbers), of(shifted));
    assert.ok(comparison);
    assert.ok(Math.abs(comparison.difference - difference) < 1e-9);
    assert.ok(Math.abs(comparison.interval[0] - (difference - 1.96 * error)) < 0.3 * error);
    assert.ok(Math.abs(comparison.interval[1] - (difference + 1.96 * error)) < 0.3 * error);
    assert.equal(comparison.pValue < 0.05, Math.abs(difference) > 2 * error);
  });

  it('finds no difference between a system and itself, and a clear one where it is', () => {
    assert.equal(compareSystems(mean, of(numbers), of(numbers))[0]?.pValue, 1);
    const better = numbers.map((number) => number + 100);
    const [comparison] = compareSystems(mean, of(numbers), of(better));
    assert.deepEqual(comparison?.interval.map(Math.round), [100, 100]);
    for (const { pValue } of compareSystems(mtevalMetric(), corpus, reversed).slice(4, 6)) {
      assert.ok(pValue < 0.05);
    }
  });

  it('refuses systems on different instances', () => {
    assert.throws(() => compareSystems(mean, of([1, 2]), of([1])), /2 responses and the other 1/);
  });
});

describe('printed numbers', () => {
  it('round ties to even as C does, and all else to the nearest', () => {
    assert.equal(printed(0.03125, 4), '0.0312');
    assert.equal(printed(0.09375, 4), '0.0938');
    assert.equal(printed(0.5, 0), '0');
    assert.equal(printed(1.5, 0), '2');
    assert.equal(printed(-0.03125, 4), '-0.0312');
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1000, noNaN: true }), (number) => {
        assert.ok(Math.abs(Number(printed(number, 4)) - number) <= 0.00005 + 1e-12);
      }),
    );
  });

  it('are written as Python does', () => {
    assert.deepEqual([1, 0.5, 0, 1e-5, 1.5e-7, 1e16, 123456789, NaN, -2, 0.0001].map(pythonFloat), [
      '1.0',
      '0.5',
      '0.0',
      '1e-05',
      '1.5e-07',
      '1e+16',
      '123456789.0',
      'nan',
      '-2.0',
      '0.0001',
    ]);
  });
});
