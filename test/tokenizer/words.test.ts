import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BytePairEncodingCore } from 'gpt-tokenizer/BytePairEncodingCore';
import ranks from 'gpt-tokenizer/bpeRanks/r50k_base';
import { endOfWord, WordTokens } from '../../src/tokenizer/ascii-words.js';
import { gpt2Tokenizer } from '../../src/tokenizer/index.js';
import { PairMerges } from '../../src/tokenizer/pair-merges.js';
import { WORD_PATTERN } from '../../src/tokenizer/tokenizer.js';
import { fc } from '../support/properties.js';

/** Texts of what the pattern of words has rules for. */
const texts = fc
  .array(
    fc.oneof(
      fc.constantFrom(' ', '  ', '\n', '\t', '\r', '\v', '\u001c', "'", "'s", "'re", "'v", "'ll"),
      fc.constantFrom('a', 'the', 'Hello', 'zzq', '12', '7', '.', '...', '!?', '_', '\u0000', '~'),
    ),
    { maxLength: 20 },
  )
  .map((parts) => parts.join(''));

describe('endOfWord', () => {
  it('cuts ASCII texts where the pattern does', () => {
    fc.assert(
      fc.property(fc.oneof(texts, fc.string({ unit: 'binary-ascii' })), (text) => {
        const words: string[] = [];
        for (let start = 0; start < text.length;) {
          const end = endOfWord(text, start);
          words.push(text.slice(start, end));
          start = end;
        }
        assert.deepEqual(words, text.match(WORD_PATTERN) ?? []);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('WordTokens', () => {
  it('asks once for each word it remembers, and tells words of one hash apart', () => {
    let asked = 0;
    const words = new WordTokens((word) => {
      asked += 1;
      return Array.from(word)
        .slice(0, 7)
        .map((letter) => letter.charCodeAt(0));
    });
    const append = (text: string) => {
      const ids: number[] = [];
      words.append(ids, `<${text}>`, 1, text.length + 1);
      return String.fromCharCode(...ids);
    };
    const given = Array.from({ length: 40_000 }, (_, number) => number.toString(36));
    for (const word of [...given, ...given]) assert.equal(append(word), word);
    assert.equal(asked, given.length);
    // Neither words of many tokens nor long ones are remembered.
    for (const word of ['abcdefghi', 'x'.repeat(40)]) {
      for (let time = 0; time < 2; time++) assert.equal(append(word), word.slice(0, 7));
    }
    assert.equal(asked, given.length + 4);
  });

  it('forgets all when it is full, and goes on', () => {
    const words = new WordTokens((word) => [word.length]);
    for (let number = 0; number < 300_000; number++) {
      const text = String(number);
      const ids: number[] = [];
      words.append(ids, text, 0, text.length);
      assert.deepEqual(ids, [text.length]);
    }
  });
});

describe('PairMerges', () => {
  it("makes the tokens that gpt-tokenizer makes of GPT-2's vocabulary", () => {
    const core = new BytePairEncodingCore({
      bytePairRankDecoder: [...ranks],
      tokenSplitRegex: WORD_PATTERN,
    });
    const merges = PairMerges.of(gpt2Tokenizer().vocabulary);
    assert.ok(merges !== undefined);
    const encoder = new TextEncoder();
    fc.assert(
      fc.property(fc.oneof(texts, fc.string({ unit: 'grapheme', maxLength: 30 })), (text) => {
        const wellFormed = text.toWellFormed();
        assert.deepEqual(gpt2Tokenizer().encode(text), core.encodeNative(wellFormed));
        for (const word of wellFormed.match(WORD_PATTERN) ?? []) {
          assert.deepEqual(merges.encode(encoder.encode(word)), core.encodeNative(word));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses a vocabulary with a token that is not made of two others', () => {
    const tokens = [[97], [98], [99], [97, 98, 99]];
    assert.equal(PairMerges.of({ tokens }), undefined);
    assert.ok(PairMerges.of({ tokens: [...tokens.slice(0, 3), [97, 98], [97, 98, 99]] }));
  });
});
