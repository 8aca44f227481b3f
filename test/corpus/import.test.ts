import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { exists } from '../../src/base/files.js';
import { importConversations, type ImportOptions } from '../../src/corpus/import.js';
import { sharedData, temporaryFolder } from '../support/files.js';

/** Imports one file of this text and returns the lines written. */
async function imported(
  context: TestContext,
  format: string,
  text: string,
  options: ImportOptions = {},
  name = 'in.txt',
): Promise<string[]> {
  const folder = await temporaryFolder(context);
  const [path, out] = [join(folder, name), join(folder, 'out.tsv')];
  await writeFile(path, text);
  await importConversations(format, [path], out, options);
  return (await readFile(out, 'utf8')).trimEnd().split('\n');
}

describe('importConversations', () => {
  it('reads the forms of chat JSONL', async (context) => {
    const lines = [
      '{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hi\\tyou\\n"},{"role":"assistant","content":[{"type":"text","text":"20 years EOS"}]}]}',
      '{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}',
      '',
      '{"turns":["a","b","c"],"id":7}',
      '["a","b"]',
      '{"context":["a","b"],"response":"c"}',
      '{"prompt":"a","completion":"b"}',
      '{"messages":[{"role":"user","content":"alone"}]}',
    ].join('\n');
    assert.deepEqual(await imported(context, 'jsonl', lines), [
      'hi you\t1.0 20 years eos',
      'a\tb',
      'a EOS b\tc',
      'a\tb',
      'a EOS b\tc',
      'a\tb',
    ]);
  });

  it("gives weight 0 to all but the chosen speaker's turns", async (context) => {
    const line =
      '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}';
    assert.deepEqual(await imported(context, 'jsonl', line, { speaker: 'assistant' }), [
      '0.0 a EOS b EOS 0.0 c\td',
    ]);
  });

  it('names the line that is not JSON or no conversation, and writes nothing', async (context) => {
    await assert.rejects(imported(context, 'jsonl', '["a","b"]\n{'), /in\.txt:2: .*not JSON/);
    await assert.rejects(imported(context, 'jsonl', '{"a":1}'), /in\.txt:1: .*no conversation/);
    const folder = await temporaryFolder(context);
    const path = join(folder, 'bad.jsonl');
    await writeFile(path, '["a","b"]\n{');
    await assert.rejects(importConversations('jsonl', [path], join(folder, 'out.tsv')));
    assert.equal(await exists(join(folder, 'out.tsv')), false);
    await assert.rejects(imported(context, 'jsonl', ''), /no conversation of two turns/);
    await assert.rejects(importConversations('jsonl', ['/none.jsonl'], path), /no such file/);
    await assert.rejects(importConversations('csv', ['/none.csv'], path), /no such file/);
    await assert.rejects(importConversations('icq', [path], path), /no importer "icq"/);
  });

  it('reads CSV of exchanges and of messages', async (context) => {
    assert.deepEqual(
      await imported(context, 'csv', 'Question,Answer\n"a, ""b""\nc",d\n', {}, 'in.csv'),
      ['a, "b" c\td'],
    );
    const messages = 'thread,who,text\n1,x,a\n1,y,b\n1,y,c\n2,x,d\n2,y,e\n';
    assert.deepEqual(
      await imported(context, 'csv', messages, {
        columns: { conversation: 'thread', speaker: 'who' },
      }),
      ['a\tb c', 'd\te'],
    );
    await assert.rejects(imported(context, 'csv', 'x,y\n1,2\n'), /no column looks like/);
    await assert.rejects(
      imported(context, 'csv', 'text\n1\n', { columns: { text: 'z' } }),
      /no column "z"; the columns are text/,
    );
    await assert.rejects(imported(context, 'csv', 'text\n"a\n'), /this is not CSV/);
  });

  it('reads Discord exports: no bots, no notices, cut at silences', async (context) => {
    const message = (name: string, time: string, content: string, more = {}): object => ({
      id: '1',
      type: 'Default',
      timestamp: `2020-01-01T${time}:00.000+00:00`,
      content,
      author: { id: name, name, isBot: name === 'bot' },
      ...more,
    });
    const messages = [
      message('ann', '00:00', 'a'),
      message('bot', '00:01', 'beep'),
      message('ann', '00:02', 'a2'),
      message('bob', '00:03', 'b', { type: 'Reply' }),
      message('eve', '00:04', 'Joined the server.', { type: 'GuildMemberJoin' }),
      message('ann', '09:00', 'c'),
      message('bob', '09:01', 'd'),
      message('ann', '20:00', 'alone'),
    ];
    assert.deepEqual(await imported(context, 'discord', JSON.stringify({ messages })), [
      'a a2\tb',
      'c\td',
    ]);
    await assert.rejects(imported(context, 'discord', '{}'), /DiscordChatExporter/);
  });

  it("reads WhatsApp's export of Android and iOS", async (context) => {
    const android = [
      '12/31/20, 11:58 PM - Messages and calls are end-to-end encrypted.',
      'a line of that notice',
      '12/31/20, 11:59\u202fPM - Ann: happy: new',
      'year',
      '1/1/21, 12:01 AM - Bob: <Media omitted>',
      '1/1/21, 12:02 AM - Bob: same',
      '1/1/21, 8:02 AM - Ann: morning',
      '1/1/21, 8:03 AM - Bob: hi',
    ].join('\n');
    assert.deepEqual(await imported(context, 'whatsapp', android), [
      'happy: new year\tsame',
      'morning\thi',
    ]);
    const ios =
      '[31.12.20, 23:59:58] Ann: a\r\n\u200e[31.12.20, 23:59:59] Bob: \u200eimage omitted\r\n[01.01.21, 00:00:01] Bob: b\r\n';
    assert.deepEqual(await imported(context, 'whatsapp', ios), ['a\tb']);
    await assert.rejects(imported(context, 'whatsapp', 'hello\n'), /Export chat/);
  });

  it('reads the three published sets', async (context) => {
    const topical = {
      t_1: {
        content: [
          { message: 'a', agent: 'agent_1' },
          { message: 'b', agent: 'agent_2' },
        ],
      },
    };
    assert.deepEqual(await imported(context, 'topical-chat', JSON.stringify(topical)), ['a\tb']);
    await assert.rejects(imported(context, 'topical-chat', '[1]'), /not a Topical-Chat/);
    const persona =
      'user 1 personas,user 2 personas,Best Generated Conversation\n"x","y","User 1: a\nUser 2: b\nmore\nUser 1: c"\n';
    assert.deepEqual(await imported(context, 'synthetic-persona-chat', persona), [
      'a EOS b more\tc',
    ]);
    const personality = 'Question\tAnswer\tMetadata\r\nsay "hi\tHi.\tx\r\n';
    assert.deepEqual(await imported(context, 'personality-chat', personality), ['say "hi\tHi.']);
  });

  const topicalChat = sharedData('topical-chat');
  it(
    'reads all of Topical-Chat',
    { skip: !existsSync(topicalChat) && 'needs ../shared/data' },
    async (context) => {
      const out = join(await temporaryFolder(context), 'out.tsv');
      const files = ['valid_freq', 'valid_rare', 'test_freq', 'test_rare'];
      const paths = files.map((name) => join(topicalChat, `${name}.json`));
      const counts = await importConversations('topical-chat', paths, out);
      // 2,156 conversations and 46,903 turns, less the turns joined because one speaker wrote on.
      assert.equal(counts.conversations, 2156);
      assert.ok(counts.turns <= 46903 && counts.turns > 46000, String(counts.turns));
    },
  );
});
