import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { addUp } from '../../src/evaluation/metric.js';
import {
  meteor,
  meteorMetric,
  type MeteorResources,
  meteorStages,
  NO_METEOR_RESOURCES,
  readMeteorResources,
} from '../../src/evaluation/index.js';
import { meteorWords, Normalizer } from '../../src/evaluation/meteor/normalize.js';
import { readParaphrases } from '../../src/evaluation/meteor/paraphrases.js';
import { stemEnglish } from '../../src/evaluation/meteor/stemmer.js';
import { Pieces } from '../../src/evaluation/words.js';
import { golden, temporaryFolder } from '../support/files.js';
import { goldenCorpus, goldenScores } from './golden.js';

const corpus = goldenCorpus();
const scores = goldenScores().meteor;

async function goldenResources(): Promise<MeteorResources> {
  const texts = [...corpus.hypotheses, ...corpus.references.flat()];
  return readMeteorResources(golden('evaluation', 'meteor-data'), texts);
}

function compare(
  resources: MeteorResources,
  expected: { score: number; segments: number[] },
): void {
  const metric = meteorMetric(resources);
  const rows = metric.statistics(corpus);
  rows.forEach((row, index) => {
    const [score = NaN] = metric.score(row);
    const wanted = expected.segments[index] ?? NaN;
    assert.ok(Math.abs(score - wanted) < 1e-12, `segment ${index}: ${score}, not ${wanted}`);
  });
  const [score = NaN] = metric.score(addUp(rows));
  assert.ok(Math.abs(score - expected.score) < 1e-12);
}

describe('METEOR', () => {
  it('equals METEOR 1.5 with all four matchers, on every segment', async () => {
    const resources = await goldenResources();
    assert.equal(meteorStages(resources), 'exact+stem+synonym+paraphrase');
    compare(resources, scores.withParaphrases);
  });

  it('equals METEOR 1.5 without paraphrases', async () => {
    const { functionWords, prefixes, synonyms } = await goldenResources();
    assert.ok(synonyms);
    const resources = { functionWords, prefixes, synonyms };
    assert.equal(meteorStages(resources), 'exact+stem+synonym');
    compare(resources, scores.withoutParaphrases);
  });

  it('equals METEOR 1.5 with exact words and stems only', () => {
    assert.equal(meteorStages(NO_METEOR_RESOURCES), 'exact+stem');
    compare(NO_METEOR_RESOURCES, scores.withoutData);
  });

  it('gives 0 to an empty hypothesis and 1 to a copy', () => {
    const score = (hypothesis: string, reference: string): number =>
      meteor({ hypotheses: [hypothesis], references: [[reference]] }, NO_METEOR_RESOURCES);
    assert.equal(score('', 'a word'), 0);
    assert.equal(score('a word', ''), 0);
    assert.equal(score('a word or two', 'A word, or two'), meteorOfOneMissingWord());
    assert.equal(score('a word or two', 'a word or two'), 1);
  });

  // The search was once quartic in a word's repetitions: then these texts take hours.
  it('takes bounded time where words repeat', { timeout: 120_000 }, () => {
    const score = (hypotheses: string[], references: string[]): number =>
      meteor({ hypotheses, references: references.map((text) => [text]) }, NO_METEOR_RESOURCES);
    const words = (count: number): string => 'word '.repeat(count);
    assert.equal(score([words(2000)], [words(2000)]), 1);
    // All words but one of the reference match, in one chunk or more.
    const partial = score([words(600)], [`${words(600)}other`]);
    assert.ok(partial > 0.5 && partial < 1, String(partial));
    let state = 1;
    const bytes = Uint8Array.from({ length: 300_000 }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 24;
    });
    const lines = Buffer.from(bytes).toString('utf8').split('\n');
    assert.ok(score(lines, lines) > 0.99);
  });

  it('aligns equal sentences word by word, and a repeated word with as few chunks', () => {
    const rows = meteorMetric(NO_METEOR_RESOURCES).statistics({
      hypotheses: ['a b a b a', 'a a b'],
      references: [['a b a b a'], ['b a a']],
    });
    const [same = new Float64Array(), swapped = new Float64Array()] = rows;
    assert.deepEqual([...same.slice(-3)], [0, 5, 5]);
    assert.deepEqual([...swapped.slice(-3)], [2, 3, 3]);
  });

  it('says what is missing in a folder, and of which file it is', async (context) => {
    const folder = await temporaryFolder(context);
    await assert.rejects(
      readMeteorResources(folder, []),
      /function\/english\.words is missing.*meteor-1\.5/,
    );
    const damaged = join(folder, 'paraphrase-en.gz');
    await writeFile(damaged, gzipSync('0.5\na\nb\n').subarray(0, 20));
    await assert.rejects(readParaphrases(damaged, new Set(['a', 'b'])), /not a whole gzip file/);
    await writeFile(damaged, gzipSync('0.5\na\n'));
    await assert.rejects(readParaphrases(damaged, new Set(['a', 'b'])), /multiple of three/);
    await assert.rejects(readParaphrases(join(folder, 'none.gz'), new Set()), /no such file/);
  });

  it('keeps only paraphrases that the texts can hold', async (context) => {
    const path = join(await temporaryFolder(context), 'paraphrase-en.gz');
    await writeFile(path, gzipSync('0.5\na b\nc\n0.5\na\nd\n0.5\na\nc\n'));
    const table = await readParaphrases(path, new Set(['a', 'b', 'c']));
    assert.equal(table.size, 2);
    assert.deepEqual(table.startingAt(['a', 'b'], 0), [
      { length: 1, paraphrase: ['c'] },
      { length: 2, paraphrase: ['c'] },
    ]);
  });
});

/** Four of four words match four of five, in two chunks (METEOR's formula, by hand). */
function meteorOfOneMissingWord(): number {
  const [precision, recall] = [1, 4 / 5];
  const mean = 1 / ((1 - 0.85) / precision + 0.85 / recall);
  return mean * (1 - 0.6 * (2 / 4) ** 0.2);
}

describe('meteorWords', () => {
  it('splits as METEOR does', () => {
    const words = (text: string): string =>
      meteorWords(text, new Map([['Dr', 'always']])).join(' ');
    assert.equal(words("It's well-known."), "it 's well known .");
    assert.equal(words('Wait... what?'), 'wait ... what ?');
    assert.equal(words('the U.S. and Dr. No'), 'the us and dr. no');
    assert.equal(words('1,000, “yes”'), '1,000 , " yes "');
  });

  it('gives the same words when it looks at each chunk once', () => {
    const prefixes = new Map([
      ['Dr', 'always'],
      ['No', 'before number'],
    ] as const);
    const normalizer = new Normalizer(prefixes, new Pieces(), (word) => word);
    const chunk = fc.constantFrom(
      ..."a A Dr No 1 . .. , ' ` - ’ n't ! \" ( é DOTMULTI U.S".split(' '),
      ...[' ', ' ', '\t', '\v', '\u00A0'],
    );
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 12 }), (chunks) => {
        const text = chunks.join('');
        assert.deepEqual(normalizer.words(text), meteorWords(text, prefixes));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('stemEnglish', () => {
  it('equals the stemmer of METEOR 1.5', () => {
    const lines = readFileSync(golden('evaluation', 'stems.tsv'), 'utf8').trimEnd().split('\n');
    assert.ok(lines.length > 5000);
    for (const line of lines) {
      const [word = '', stem] = line.split('\t');
      assert.equal(stemEnglish(word), stem, word);
    }
  });
});
