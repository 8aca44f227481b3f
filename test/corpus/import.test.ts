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

  it('takes who speaks last in turns without names for the assistant', async (context) => {
    const pairs = [
      '{"prompt":"a","completion":"b"}',
      '{"context":["a","b"],"response":"c"}',
      '{"turns":["a","b","c","d"]}',
      '["a","b"]',
      '{"context":["a",""," "],"response":"b"}',
    ].join('\n');
    assert.deepEqual(await imported(context, 'jsonl', pairs, { speaker: 'assistant' }), [
      '0.0 a\tb',
      'a EOS 0.0 b\tc',
      '0.0 a EOS b EOS 0.0 c\td',
      '0.0 a\tb',
      '0.0 a\tb',
    ]);
    assert.deepEqual(
      await imported(context, 'csv', 'question,answer\na,b\n', { speaker: 'assistant' }),
      ['0.0 a\tb'],
    );
    const tsv = 'a EOS b EOS c\td\n0.0 a EOS 1.0 b\t0.0 c\nt3_x,t3_x,t1_y\ta EOS b\tc\n';
    assert.deepEqual(await imported(context, 'tsv', tsv, { speaker: 'assistant' }), [
      '0.0 a EOS b EOS 0.0 c\td',
      'a EOS 0.0 b\tc',
      'a EOS 0.0 b\tc',
    ]);
    assert.deepEqual(await imported(context, 'tsv', tsv, { speaker: 'user' }), [
      'a EOS 0.0 b EOS c\t0.0 d',
      '0.0 a EOS b\t0.0 c',
      '0.0 a EOS b\t0.0 c',
    ]);
    await assert.rejects(imported(context, 'tsv', 'a\tb\nc\n'), /in\.txt:2: /);
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

  it("reads WhatsApp's dates of every kind of phone", async (context) => {
    const headers: readonly (readonly [string, string])[] = [
      ['31/12/2020, 23:58 - ', '01/01/2021, 00:01 - '],
      ['12/31/20, 11:58 PM - ', '1/1/21, 12:01 AM - '],
      ['31/12/20 11:58 p. m. - ', '1/1/21 12:01 a. m. - '],
      ['31/12/2020, 11:58\u00a0p.\u00a0m. - ', '1/1/2021, 12:01\u00a0a.\u00a0m. - '],
      ['31.12.20, 23:58 - ', '01.01.21, 00:01 - '],
      ['2020-12-31, 23:58 - ', '2021-01-01, 00:01 - '],
      ['2020/12/31, 23:58 - ', '2021/1/1, 00:01 - '],
      ['31/12/2020 à 23:58 - ', '01/01/2021 à 00:01 - '],
      ['31. 12. 2020 23:58 - ', '1. 1. 2021 0:01 - '],
      ['2020. 12. 31. 23:58 - ', '2021. 1. 1. 0:01 - '],
      ['2020/12/31 下午11:58 - ', '2021/1/1 上午12:01 - '],
      ['٣١/١٢/٢٠٢٠، ٢٣:٥٨ - '.replace('،', ','), '٠١/٠١/٢٠٢١, ٠٠:٠١ - '],
      ['31/12/2020, 23:58 – ', '01/01/2021, 00:01 – '],
      ['[31.12.20, 23:58:59] ', '[01.01.21, 00:01:00] '],
      ['[12/31/20, 11:58:59\u202fPM] ', '\u200e[1/1/21, 12:01:00\u202fAM] '],
      ['[31.12.2020 klo 23.58.59] ', '[1.1.2021 klo 0.01.00] '],
      ['[2020-12-31, 11:58:59 PM] ', '[2021-01-01, 12:01:00 AM] '],
    ];
    for (const [before, after] of headers) {
      const text = `${before}Ann: 1: a\nb\n${after}Bob: c\n`;
      // Three minutes lie between the two, which gap hours of 0.1 show.
      const lines = await imported(context, 'whatsapp', text, { gapHours: 0.1 });
      assert.deepEqual(lines, ['1: a b\tc'], before);
      await assert.rejects(imported(context, 'whatsapp', text, { gapHours: 0.01 }), /two turns/);
    }
  });

  it('tells days from months by the order of the messages', async (context) => {
    const dates = ['01/02/21', '01/02/21', '02/02/21', '02/02/21', '03/02/21', '03/02/21'];
    const text = dates
      .map((date, index) => `${date}, 10:00 - ${index % 2 === 0 ? 'Ann' : 'Bob'}: ${index}\n`)
      .join('');
    // As days, a day lies between two dates; as months, a month.
    assert.equal((await imported(context, 'whatsapp', text, { gapHours: 25 })).length, 1);
    const halves = text.replaceAll(', 10:00', ', 10:00 AM');
    assert.equal((await imported(context, 'whatsapp', halves, { gapHours: 25 })).length, 3);
  });

  it('leaves out what nobody wrote in WhatsApp', async (context) => {
    const android = [
      '31/12/2020, 23:50 - Ann created group "x"',
      '31/12/2020, 23:51 - Ann: <Medien ausgeschlossen>',
      '31/12/2020, 23:52 - Ann: IMG-20201231-WA0001.jpg (file attached)',
      'a caption',
      '31/12/2020, 23:53 - Bob: This message was deleted',
      '31/12/2020, 23:54 - Bob: se eliminó este mensaje',
      '31/12/2020, 23:55 - Bob: seen @\u2068Ann\u2069 <This message was edited>',
      '31/12/2020, 23:56 - Ann: location: https://maps.google.com/?q=1,2',
      '31/12/2020, 23:56 - Ann:',
      '31/12/2020, 23:57 - Ann: IMG.png (Datei angehängt)',
    ].join('\n');
    assert.deepEqual(await imported(context, 'whatsapp', android), ['a caption\tseen @Ann']);
    const ios = [
      '[31.12.20, 23:50:00] The group: \u200eMessages and calls are end-to-end encrypted.',
      '[31.12.20, 23:51:00] Ann: \u200eBild weggelassen',
      '[31.12.20, 23:52:00] \u202a+49 170 1\u202c: hi',
      '[31.12.20, 23:53:00] Ann: ho \u200e<Diese Nachricht wurde bearbeitet.>',
    ].join('\r\n');
    assert.deepEqual(await imported(context, 'whatsapp', ios), ['hi\tho']);
  });

  it('reads Discord exports of every version', async (context) => {
    const at = (minute: number) => `2020-01-01T00:0${minute}:00.000+00:00`;
    const messages = [
      {
        type: 'Default',
        timestamp: at(0),
        content: 'hi <@5> <:wave:123> <#7>',
        author: { name: 'a' },
      },
      { type: 'Default', timestamp: at(1), content: '', attachments: [{}], author: { name: 'b' } },
      { type: 'Reply', timestamp: at(2), content: 'see <t:1618953630:R> <a:x:9>', author: null },
      { type: 19, timestamp: at(3), content: 'ok', author: { name: 'a', nickname: null } },
      { type: 'ChannelPinnedMessage', timestamp: at(4), content: 'Pinned', author: { name: 'b' } },
      { type: 'Default', timestamp: at(5), content: null, author: { name: 'b' } },
    ].map((message) => ({ ...message, mentions: [{ id: '5', name: 'bob' }] }));
    assert.deepEqual(await imported(context, 'discord', JSON.stringify({ messages })), [
      'hi @bob :wave: EOS see :x:\tok',
    ]);
  });

  it('reads lists of conversations, and what datasets call their parts', async (context) => {
    const share = [
      {
        id: 1,
        conversations: [
          { from: 'system', value: 's' },
          { from: 'human', value: 'a' },
        ],
      },
      {
        conversations: [
          { from: 'human', value: 'a' },
          { from: 'gpt', value: 'b' },
        ],
      },
    ];
    for (const text of [JSON.stringify(share), JSON.stringify(share, null, 2)]) {
      assert.deepEqual(await imported(context, 'jsonl', text), ['a\tb']);
    }
    await assert.rejects(imported(context, 'jsonl', '[{"conversations":[]},\n{"a":1}]'), /entry 2/);
    const lines = [
      '{"dialog":["a","b"]}',
      '{"dialogue":[{"speaker":"x","utterance":"a"},{"speaker":"y","utterance":"b"}]}',
      '{"instruction":"a","input":"","output":"b"}',
      '{"question":"a","answer":"b"}',
      '{"messages":[{"role":"user","content":["a"]},{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"t"},{"role":"assistant","content":[{"type":"image_url"},{"type":"text","text":"b"}]}]}',
    ];
    assert.deepEqual(
      await imported(context, 'jsonl', lines.join('\n')),
      lines.map(() => 'a\tb'),
    );
  });

  it('reads CSV of other delimiters, and times', async (context) => {
    assert.deepEqual(await imported(context, 'csv', '\uFEFFcontext;response\n"a;b";c,d\n'), [
      'a;b\tc,d',
    ]);
    const messages =
      'author\ttext\ttime\nx\ta\t2020-01-01T00:00:00Z\ny\tb\t2020-01-01 00:01:00Z\nx\tc\t1577966400\ny\td\t1577966401000\n';
    assert.deepEqual(await imported(context, 'csv', messages), ['a\tb', 'c\td']);
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
    const marked = 'Best Generated Conversation\n"*User 1:* a\n\n* User 2: b *"\n';
    assert.deepEqual(await imported(context, 'synthetic-persona-chat', marked), ['a\tb']);
    const open =
      'Best Generated Conversation\n"User 1: I\'m [user 1\'s name].\nUser 2: Hi (User 1)! (name) here.\nUser 1: Hi.\nUser 2: I live in [city].\nUser 1: Nice."\n';
    const [filled = ''] = await imported(context, 'synthetic-persona-chat', open);
    const [, first, second] = /^I'm (\w+)\. EOS Hi (?:\1)! (\w+) here\.\tHi\.$/.exec(filled) ?? [];
    assert.ok(first !== undefined && second !== undefined && first !== second, filled);
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

  const persona = sharedData('synthetic-persona-chat');
  it(
    'reads all of Synthetic-Persona-Chat and Personality Chat, personas left out',
    { skip: !existsSync(persona) && 'needs ../shared/data' },
    async (context) => {
      const out = join(await temporaryFolder(context), 'out.tsv');
      const paths = ['valid.csv', 'test.csv'].map((name) => join(persona, name));
      const counts = await importConversations('synthetic-persona-chat', paths, out);
      // 1,968 conversations, less one that is empty, one without speakers, and five that begin with
      // something left open; 54,516 turns, less those
      // joined because one speaker wrote on, and those after something left open.
      assert.equal(counts.conversations + counts.tooShort, 1961);
      assert.ok(counts.turns <= 54516 && counts.turns > 52000, String(counts.turns));
      const text = await readFile(out, 'utf8');
      assert.ok(!/user ?[12]:/i.test(text));
      assert.doesNotMatch(text, /\[|\]/);
      assert.ok(!text.includes('I love to bake cookies. I have a dogs.'));
      const tones = ['Friendly', 'Humorous', 'Professional'].map((tone) =>
        sharedData('personality-chat', `Queries_Responses_${tone}_QnAMaker.tsv`),
      );
      const answers = await importConversations('personality-chat', tones, out);
      assert.ok(answers.conversations > 250 && answers.tooShort === 0, JSON.stringify(answers));
    },
  );
});
