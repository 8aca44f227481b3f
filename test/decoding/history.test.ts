import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { promptTokens } from '../../src/decoding/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { fc } from '../support/properties.js';

// A token for each byte, so that lengths can be counted.
const tokenizer = new Tokenizer(trainVocabulary([], 257));
const END = tokenizer.endOfText;
const ids = (...turns: string[]) => turns.flatMap((turn) => [...tokenizer.encode(turn), END]);

describe('promptTokens', () => {
  it('ends each turn by the end of text', () => {
    assert.deepEqual(promptTokens(tokenizer, ['ab', 'c'], 100), ids('ab', 'c'));
  });

  it('leaves out whole turns from the oldest on where there is no room', () => {
    const history = ['aaaa', 'bbb', 'cc'];
    assert.deepEqual(promptTokens(tokenizer, history, 12), ids(...history));
    assert.deepEqual(promptTokens(tokenizer, history, 11), ids('bbb', 'cc'));
    assert.deepEqual(promptTokens(tokenizer, history, 7), ids('bbb', 'cc'));
    assert.deepEqual(promptTokens(tokenizer, history, 6), ids('cc'));
    // No older turn slips in beside one that was left out.
    assert.deepEqual(promptTokens(tokenizer, ['a', 'bbbbbbbb', 'cc'], 6), ids('cc'));
  });

  it('cuts the last turn at its start if it alone is too long', () => {
    assert.deepEqual(promptTokens(tokenizer, ['a', 'bcdefg'], 4), ids('efg'));
    assert.deepEqual(promptTokens(tokenizer, ['bcdefg'], 1), [END]);
  });

  it('reads as many turns as asked for, the last included', () => {
    const history = ['a', 'b', 'c'];
    assert.deepEqual(promptTokens(tokenizer, history, 100, 1), ids('c'));
    assert.deepEqual(promptTokens(tokenizer, history, 100, 2), ids('b', 'c'));
    assert.deepEqual(promptTokens(tokenizer, history, 100, 3), ids(...history));
    assert.deepEqual(promptTokens(tokenizer, history, 100, 9), ids(...history));
    assert.deepEqual(promptTokens(tokenizer, history, 100, 0), ids(...history));
  });

  it('collapses white space and passes over empty turns', () => {
    assert.deepEqual(promptTokens(tokenizer, ['', ' a \n\t b ', '  '], 100), ids('a b'));
    for (const history of [[], [''], [' ', '\n']]) {
      assert.throws(() => promptTokens(tokenizer, history, 100), {
        name: 'UserError',
        message: 'There is nothing to reply to: the message is empty.',
      });
    }
  });

  it('never changes the history, is never too long and always holds the end of it', () => {
    const turn = fc.string({ minLength: 1 }).filter((text) => text.trim() !== '');
    const histories = fc.array(turn, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(
        histories,
        fc.integer({ min: 1, max: 60 }),
        fc.nat(4),
        (history, longest, most) => {
          const copy = [...history];
          const prompt = promptTokens(tokenizer, history, longest, most);
          assert.deepEqual(history, copy);
          assert.ok(prompt.length > 0 && prompt.length <= longest);
          const all = promptTokens(tokenizer, history, 10_000);
          assert.deepEqual(prompt, all.slice(-prompt.length));
          if (most > 0) assert.ok(prompt.filter((id) => id === END).length <= most);
        },
      ),
    );
  });
});
