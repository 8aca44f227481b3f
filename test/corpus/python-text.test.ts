import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  collapseSpaces,
  pythonFloat,
  pythonSplit,
  pythonTrim,
  pythonTrimEnd,
} from '../../src/corpus/python-text.js';

describe('python text', () => {
  it("splits at Python's white space, not JavaScript's", () => {
    // Golden values: CPython 3.11's str.split().
    assert.deepEqual(
      pythonSplit('a\u0085b\u001cc\u001fd\u00a0e\u3000f\u2028g\u1680h'),
      'a b c d e f g h'.split(' '),
    );
    assert.deepEqual(pythonSplit('a\ufeffb\u200bc\u180ed'), ['a\ufeffb\u200bc\u180ed']);
    assert.deepEqual(pythonSplit(' \t\n'), []);
  });

  it('trims and collapses', () => {
    assert.equal(pythonTrim('\u001c\u0085 a  b\u2003\u001d'), 'a  b');
    assert.equal(pythonTrim('\ufeffa'), '\ufeffa');
    assert.equal(pythonTrimEnd(' a \u0085'), ' a');
    assert.equal(pythonTrimEnd(' \n'), '');
    assert.equal(collapseSpaces(' a \u0085\u001f b '), 'a b');
  });

  it("reads numbers with Python's float() syntax", () => {
    // Golden values: CPython 3.11's float().
    const numbers: readonly (readonly [string, number])[] = [
      ['20', 20],
      ['-1.5e3', -1500],
      ['1.', 1],
      ['.5', 0.5],
      ['1_000.2_5', 1000.25],
      ['1e1_0', 1e10],
      ['infinity', Infinity],
      ['-INF', -Infinity],
      ['+nan', NaN],
      ['١٢', 12],
      ['𝟙𝟚', 12],
      ['1e999', Infinity],
    ];
    for (const [text, number] of numbers) assert.equal(pythonFloat(text), number, text);
    for (const text of ['', '.', '1__0', '_1', '1_', '0x10', '1e', '½', '1,000', 'infinit']) {
      assert.equal(pythonFloat(text), undefined, text);
    }
  });
});
