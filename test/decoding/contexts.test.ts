import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import { linesOf } from '../../src/base/files.js';
import { parseContext, readContexts } from '../../src/decoding/index.js';
import { fc } from '../support/properties.js';

const read = (text: string) => readContexts(linesOf(Readable.from([text])), 'x');

describe('readContexts', () => {
  it('reads text, without weights, keys and references', async () => {
    assert.deepEqual(
      await read(
        'hello\na EOS b\tref one\tref two\n0.0 a EOS 1.0 b c\nt3_1,t1_2,t1_3\ta EOS b\tr\n',
      ),
      [['hello'], ['a', 'b'], ['a', 'b c'], ['a', 'b']],
    );
  });

  it('reads chat JSONL, without instructions and a reference at the end', async () => {
    const chat = {
      messages: [
        { role: 'system', content: 'Be nice.' },
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b' },
        { role: 'user', content: [{ type: 'text', text: 'c' }] },
      ],
    };
    const withReply = { messages: [...chat.messages, { role: 'assistant', content: 'd' }] };
    const lines = [
      chat,
      withReply,
      ['a', 'b'],
      { turns: ['a'] },
      { context: ['x', 'y'], response: 'z' },
    ];
    assert.deepEqual(await read(lines.map((line) => JSON.stringify(line)).join('\n')), [
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
      ['a', 'b'],
      ['a'],
      ['x', 'y'],
    ]);
  });

  it('takes text that only looks like JSON for text', async () => {
    assert.deepEqual(await read('[sic] what?\n{"x": 1}\n'), [['[sic] what?'], ['{"x": 1}']]);
  });

  it('names the line that cannot be replied to or read', async () => {
    for (const [text, message] of [
      ['a\n\nb', /^x:2: there is nothing to reply to/],
      ['a EOS \tb', /^x:1: there is nothing to reply to/],
      ['{"messages":[]}', /^x:1: there is nothing to reply to/],
      ['["a"]\nb', /^x:2: this line is not JSON/],
      ['["a"]\n{"x":1}', /^x:2: this line is no conversation/],
    ] as const) {
      await assert.rejects(read(text), (error: unknown) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, message);
        return true;
      });
    }
  });

  it('makes turns or a sentence of anything', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
        try {
          for (const turns of await read(text)) assert.notEqual(turns.at(-1)?.trim(), '');
        } catch (error) {
          assert.ok(error instanceof UserError);
        }
        parseContext(text);
      }),
    );
  });
});
