import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../src/base/errors.js';
import {
  cleanTurn,
  formatConversation,
  parseConversation,
  readConversations,
} from '../../src/corpus/conversation.js';
import { temporaryFolder } from '../support/files.js';

describe('parseConversation', () => {
  it('reads turns, weights and the key column', () => {
    assert.deepEqual(parseConversation('0.0 hi there EOS 20 years old .\t1.0 yes'), [
      { weight: 0, text: 'hi there' },
      { weight: 1, text: '20 years old .' },
      { weight: 1, text: 'yes' },
    ]);
    assert.deepEqual(parseConversation('t3_a,t1_b,t1_c\ta\tb'), parseConversation('a\tb'));
    assert.deepEqual(parseConversation('1.0  EOS b\tc')[0], { weight: 1, text: '' });
  });

  it("takes any number for a weight as the original's _norm_text does, on demand", () => {
    assert.deepEqual(parseConversation('20 years  old . EOS 1_0\u0085x\tnan', true), [
      { weight: 20, text: 'years old .' },
      { weight: 10, text: 'x' },
      { weight: NaN, text: '' },
    ]);
  });

  it('refuses what is not a conversation', () => {
    for (const line of ['', 'no tab', 'a\tb\tc', '\tb', 'a\t', 'a EOS  EOS b\tc']) {
      assert.throws(() => parseConversation(line), UserError, line);
      assert.throws(() => parseConversation(line, true), UserError, line);
    }
  });
});

describe('formatConversation', () => {
  it('writes what either reading reads back, whatever the turns say', () => {
    const text = fc
      .oneof(fc.string({ unit: 'binary' }), fc.constantFrom('0.0 a', 'EOS', 'a EOS', '20 b', 'inf'))
      .map(cleanTurn)
      .filter((turn) => turn !== '');
    const turn = fc.record({ weight: fc.constantFrom(0, 1), text }, { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(turn, { minLength: 2, maxLength: 5 }), (turns) => {
        const line = formatConversation(turns);
        assert.deepEqual(parseConversation(line), turns);
        assert.deepEqual(parseConversation(line, true), turns);
      }),
    );
  });

  it('refuses a lone turn and weights that the format lacks', () => {
    assert.throws(() => formatConversation([{ weight: 1, text: 'a' }]), RangeError);
    const half = { weight: 0.5, text: 'a' };
    assert.throws(() => formatConversation([half, half]), RangeError);
  });
});

describe('readConversations', () => {
  it('names file and line of a line without a tab, or hands it on', async (context) => {
    const path = join(await temporaryFolder(context), 'a.tsv');
    await writeFile(path, 'a\tb\r\nbroken\nc EOS d\te');
    const strict = readConversations(path);
    await strict.next();
    await assert.rejects(strict.next(), (error) => {
      assert.ok(error instanceof UserError);
      assert.ok(error.message.startsWith(`${path}:2: `), error.message);
      return true;
    });
    const broken: string[] = [];
    const lines = [];
    const onBroken = (error: UserError): number => broken.push(error.message);
    for await (const line of readConversations(path, { onBroken })) lines.push(line);
    assert.equal(broken.length, 1);
    assert.deepEqual(
      lines.map(({ number, turns }) => [number, ...turns.map((turn) => turn.text)]),
      [
        [1, 'a', 'b'],
        [3, 'c', 'd', 'e'],
      ],
    );
  });
});
