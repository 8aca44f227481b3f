import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  averageLength,
  bleu,
  chrf,
  cider,
  cleanText,
  type Corpus,
  distinct,
  diversity,
  entropy,
  mtevalWords,
  nist,
  rougeL,
  sacreBleu,
} from '../../src/evaluation/index.js';
import { goldenCleaning, goldenCorpus, goldenScores } from './golden.js';

const corpus = goldenCorpus();
const scores = goldenScores();

const one = (hypothesis: string, ...references: string[]): Corpus => ({
  hypotheses: [hypothesis],
  references: [references],
});

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((number, index) => {
    const wanted = expected[index] ?? NaN;
    assert.ok(Math.abs(number - wanted) < 1e-9, `${number}, not ${wanted}`);
  });
}

describe('NIST and BLEU', () => {
  it('equal the digits that mteval-v14c prints', () => {
    assert.deepEqual(
      nist(corpus).map((score) => Number(score.toFixed(4))),
      scores.nist,
    );
    assert.deepEqual(
      bleu(corpus).map((score) => Number(score.toFixed(4))),
      scores.bleu,
    );
  });

  it('follow from counts done by hand', () => {
    // Three of four words match, one of three pairs; no longer n-gram does. As long as its
    // reference, so that there is no penalty.
    const scored = bleu(one('the cat sat here', 'the cat was here'));
    const precisions = [3 / 4, 1 / 3, 1 / (2 * 2), 1 / (4 * 1)];
    assertClose(
      scored,
      precisions.map((_, order) => {
        const used = precisions.slice(0, order + 1);
        return used.reduce((product, precision) => product * precision, 1) ** (1 / used.length);
      }),
    );
    // Each of the four different words of the only reference carries 2 bits, and after a word
    // nothing else ever follows.
    assertClose(nist(one('the cat was here', 'the cat was here')), [2, 2, 2, 2]);
  });

  it('are penalised for brevity, against the closest reference', () => {
    const reference = 'a b c d';
    assertClose([bleu(one('a b', reference, 'a b c'))[0] ?? NaN], [Math.exp(1 - 3 / 2)]);
    assertClose([nist(one('a b c', 'a b c d e f'))[0] ?? NaN], [Math.log2(6) * nistPenalty(1 / 2)]);
  });

  it('survive empty lines', () => {
    for (const score of [...nist(one('', 'a b')), ...bleu(one('', '')), ...bleu(one(' ', 'a'))]) {
      assert.ok(Number.isFinite(score));
    }
    assert.deepEqual(nist(one(' ', ' ')), [0, 0, 0, 0]);
    assert.deepEqual(bleu(one(' ', 'a')), [0, 0, 0, 0]);
  });

  it('are of words as mteval splits the XML text', () => {
    const words = (line: string): string => mtevalWords(line).join(' ');
    assert.equal(words("It is 3.5, OK? (a/b) don't_x"), "it is 3.5 , ok ? ( a / b ) don't _ x");
    assert.equal(words('R&B a<b &quot;x'), 'r b a b quot ; x');
    assert.equal(words('see HTTP://X.y http://X.y/A,B'), 'see http : / / x . y http://X.y/A,B');
    assert.equal(words('5-6 a-b Ünï\u00A0x'), '5 - 6 a-b Ünï x');
    assert.equal(words(''), '_ _ empty _ _');
  });
});

function nistPenalty(ratio: number): number {
  return Math.exp((Math.log(0.5) / Math.log(1.5) ** 2) * Math.log(ratio) ** 2);
}

describe('entropy, distinct and length', () => {
  it("equal DSTC-7's", () => {
    assertClose(entropy(corpus.hypotheses), scores.entropy);
    assertClose(distinct(corpus.hypotheses), scores.distinct);
    assertClose([averageLength(corpus.hypotheses)], [scores.avgLength]);
  });

  it('are 0 where there is no word', () => {
    assert.deepEqual(diversity(['', ' ']), {
      entropy: [0, 0, 0, 0],
      distinct: [0, 0],
      averageLength: 0,
    });
    assert.deepEqual(distinct(['word']), [1, 0]);
  });
});

describe('the other metrics', () => {
  it('sacreBLEU equals sacrebleu', () => {
    assertClose([sacreBleu(corpus)], [scores.sacreBleu]);
    assert.equal(sacreBleu(one('', 'a')), 0);
    assert.equal(sacreBleu(one('a', 'a')), 0);
    assertClose([sacreBleu(one('a b c d', 'a b c d'))], [100]);
  });

  it('chrF equals sacrebleu', () => {
    assertClose([chrf(corpus)], [scores.chrf]);
    assert.equal(chrf(one('', 'a')), 0);
    assert.equal(chrf(one('😀 a', '😀a')), 100);
  });

  it('ROUGE-L and CIDEr equal pycocoevalcap', () => {
    assertClose([rougeL(corpus)], [scores.rougeL]);
    assertClose([cider(corpus)], [scores.cider]);
    assert.equal(cider(one('a', 'a')), 0);
    assert.equal(rougeL(one('', 'a b')), 0);
  });
});

describe('a corpus', () => {
  it('needs responses, and references for each', () => {
    assert.throws(() => bleu({ hypotheses: [], references: [] }), /no response/);
    assert.throws(
      () => bleu({ hypotheses: ['a'], references: [[]] }),
      /Response 1 has no reference/,
    );
    assert.throws(() => bleu({ hypotheses: ['a'], references: [] }), /1 responses.*for 0/);
    assert.throws(() => diversity([]), /no response/);
  });
});

describe('cleanText', () => {
  it("equals the original's clean_str", () => {
    for (const [text, cleaned] of goldenCleaning()) {
      assert.equal(cleanText(text), cleaned, JSON.stringify(text));
    }
  });

  it('changes nothing more the second time it is applied to plain words', () => {
    const cleaned = cleanText(" I don't know:). how about this?https://github.com/x");
    assert.equal(cleaned, "i do n't know :) . how about this ? __url__");
  });
});
