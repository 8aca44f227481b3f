import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { DialogModel, GenerationOptions, ReplyOptions } from '../../src/decoding/index.js';
import { ChatBot, type Messenger } from '../../src/serving/bots/bot.js';
import { BotMemory } from '../../src/serving/bots/memory.js';
import { DiscordBot } from '../../src/serving/bots/discord.js';
import { TelegramBot } from '../../src/serving/bots/telegram.js';
import { FakeBotApi } from '../support/bot-api.js';
import { FakeDiscord } from '../support/discord-api.js';
import { temporaryFolder } from '../support/files.js';

/** A model that says how many turns it was given, and the last; it can be slow. */
class Echo implements Pick<DialogModel, 'reply' | 'defaults'> {
  readonly defaults: GenerationOptions = { temperature: 0.55, maxNewTokens: 30 };
  readonly asked: { history: readonly string[]; options: ReplyOptions }[] = [];
  /** Never answers until aborted. */
  stuck = false;

  async *reply(
    history: readonly string[],
    options: ReplyOptions = {},
  ): AsyncGenerator<string, void, undefined> {
    this.asked.push({ history, options });
    if (history.at(-1) === 'fail') throw new Error('out of memory');
    yield `${history.length}: `;
    if (this.stuck) {
      await new Promise<void>((resolve) => {
        options.signal?.addEventListener('abort', () => {
          resolve();
        });
      });
      return;
    }
    yield history.at(-1) ?? '';
  }
}

async function memoryFile(context: TestContext): Promise<string> {
  return join(await temporaryFolder(context), 'memory.sqlite');
}

/** Puts what a bot sends into a list, and waits for it. */
class Box implements Messenger {
  readonly longest: number;
  readonly typingTime = 50;
  readonly sent: string[] = [];
  typed = 0;

  constructor(longest = 4096) {
    this.longest = longest;
  }

  typing(): Promise<void> {
    this.typed += 1;
    return Promise.resolve();
  }

  send(chat: string, text: string): Promise<void> {
    this.sent.push(`${chat} ${text}`);
    return Promise.resolve();
  }

  async until(count: number): Promise<readonly string[]> {
    const end = Date.now() + 10_000;
    while (this.sent.length < count && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.sent;
  }
}

describe('a bot', () => {
  it('keeps chats apart and remembers them after a restart', async (context) => {
    const file = await memoryFile(context);
    const model = new Echo();
    let memory = await BotMemory.open(file);
    let messenger = new Box();
    let bot = new ChatBot({ model, memory, messenger });
    await bot.receive({ chat: 'a', person: '1', text: 'hello' });
    await bot.receive({ chat: 'b', person: '2', text: 'hi' });
    await bot.receive({ chat: 'a', person: '1', text: 'again' });
    assert.deepEqual([...(await messenger.until(3))].sort(), [
      'a 1: hello',
      'a 3: again',
      'b 1: hi',
    ]);
    await bot.stop();
    memory.close();

    memory = await BotMemory.open(file);
    messenger = new Box();
    bot = new ChatBot({ model, memory, messenger });
    bot.resume();
    await bot.receive({ chat: 'a', person: '1', text: 'back' });
    assert.deepEqual(await messenger.until(1), ['a 5: back']);
    await bot.stop();
    memory.close();
  });

  it('answers after a restart what it had not answered', async (context) => {
    const memory = await BotMemory.open(await memoryFile(context));
    const model = new Echo();
    model.stuck = true;
    const messenger = new Box();
    const first = new ChatBot({ model, memory, messenger });
    await first.receive({ chat: 'a', person: '1', text: 'one' });
    await first.receive({ chat: 'a', person: '1', text: 'two' });
    while (messenger.typed === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await first.stop();
    assert.deepEqual(messenger.sent, []);

    model.stuck = false;
    const second = new ChatBot({ model, memory, messenger });
    second.resume();
    assert.deepEqual(await messenger.until(2), ['a 1: one', 'a 3: two']);
    await second.stop();
    assert.deepEqual(memory.unanswered(), []);
    memory.close();
  });

  it('does what its commands say', async (context) => {
    const memory = await BotMemory.open(await memoryFile(context));
    const model = new Echo();
    const messenger = new Box();
    const bot = new ChatBot({ model, memory, messenger, perMinute: 100, greeting: 'Hi there.' });
    let count = 0;
    const say = async (text: string) => {
      await bot.receive({ chat: 'a', person: '1', text });
      return (await messenger.until(++count)).at(-1)?.slice(2);
    };
    assert.equal(await say('/start'), 'Hi there.');
    assert.match((await say('/help@test_bot')) ?? '', /^\/start – say hello\n[^]*\/settings/);
    assert.equal(await say('/undo'), 'There is nothing to undo.');
    assert.equal(await say('/retry'), 'There is nothing to answer anew.');
    assert.equal(await say('one'), '1: one');
    assert.equal(await say('two'), '3: two');
    assert.equal(await say('/retry'), '3: two');
    assert.equal(await say('/undo'), 'I have forgotten that.');
    assert.equal(await say('three'), '3: three');
    assert.equal(await say('/persona I like tea. I have two cats!'), 'That is who I am now.');
    assert.match((await say('/settings')) ?? '', /temperature: 0\.55[^]*max_new_tokens: 30/);
    assert.equal(await say('/set temperature 0.4'), 'temperature is 0.4 now.');
    assert.match((await say('/set temperature -1')) ?? '', /^Generation option temperature/);
    assert.match((await say('/set warmth 1')) ?? '', /^Say \/set and a name/);
    assert.match((await say('/settings')) ?? '', /temperature: 0\.4[^]*I like tea\./);
    assert.equal(await say('four'), '5: four');
    const last = model.asked.at(-1)?.options;
    assert.equal(last?.temperature, 0.4);
    assert.deepEqual(last.persona, ['I like tea.', 'I have two cats!']);
    assert.equal(await say('/reset'), 'Let us start anew.');
    assert.equal(await say('five'), '1: five');
    assert.equal(await say('/dance'), 'I do not know /dance; /help lists what I know.');
    assert.match((await say('fail')) ?? '', /^Sorry, /);
    assert.equal(await say('six'), '3: six');
    await bot.stop();
    memory.close();
  });

  it('sets nothing that contradicts its own options, and leaves out what was set under others', async (context) => {
    const memory = await BotMemory.open(await memoryFile(context));
    const model = new Echo();
    const messenger = new Box();
    const told = async (generation: GenerationOptions, texts: readonly string[]) => {
      const bot = new ChatBot({ model, memory, messenger, generation, perMinute: 100 });
      const before = messenger.sent.length;
      for (const text of texts) await bot.receive({ chat: 'a', person: '1', text });
      const sent = (await messenger.until(before + texts.length)).slice(before);
      await bot.stop();
      return sent.map((text) => text.slice(2));
    };
    await told({ safety: true }, ['/set temperature 0.4', 'one']);
    assert.equal(model.asked.at(-1)?.options.temperature, 0.4);
    const [said, refused] = await told({ doSample: false, safety: true }, ['two', '/set top_k 5']);
    assert.equal(said, '3: two');
    const { temperature, doSample, safety } = model.asked.at(-1)?.options ?? {};
    assert.deepEqual([temperature, doSample, safety], [undefined, false, true]);
    assert.match(refused ?? '', /^Generation option/);
    memory.close();
  });

  it('answers nobody who is not on its list, and nobody too often', async (context) => {
    const memory = await BotMemory.open(await memoryFile(context));
    const messenger = new Box();
    const bot = new ChatBot({
      model: new Echo(),
      memory,
      messenger,
      allow: ['1', 'anna'],
      perMinute: 2,
    });
    await bot.receive({ chat: 'x', person: '3', text: 'let me in' });
    await bot.receive({ chat: 'y', person: '4', name: 'anna', text: 'me' });
    for (const text of ['1', '2', '3', '4']) await bot.receive({ chat: 'a', person: '1', text });
    await messenger.until(4);
    await bot.stop();
    const said = [...messenger.sent].sort();
    assert.equal(said.filter((line) => line.startsWith('x')).length, 0);
    assert.ok(said.includes('y 1: me'));
    assert.deepEqual(
      said.filter((line) => /^a \d: /.test(line)),
      ['a 1: 1', 'a 3: 2'],
    );
    assert.equal(said.filter((line) => line.startsWith('a That is a lot')).length, 1);
    memory.close();
  });

  it('cuts what is too long for one message between characters', async (context) => {
    const memory = await BotMemory.open(await memoryFile(context));
    const messenger = new Box(20);
    const bot = new ChatBot({ model: new Echo(), memory, messenger });
    const text = `${'x'.repeat(15)}👩‍👩‍👧‍👦${'y'.repeat(25)}`;
    await bot.receive({ chat: 'a', person: '1', text });
    await messenger.until(4);
    await bot.stop();
    assert.equal(messenger.sent.map((line) => line.slice(2)).join(''), `1: ${text}`);
    assert.ok(messenger.sent.every((line) => line.length <= 2 + 20));
    assert.ok(messenger.sent.some((line) => line.includes('👩‍👩‍👧‍👦')));
    memory.close();
  });
});

describe('a bot on Telegram', () => {
  it('answers in private, and in groups when it is meant', async (context) => {
    await using api = await FakeBotApi.start();
    const memory = await BotMemory.open(await memoryFile(context));
    const options = { token: api.token, apiRoot: api.url, model: new Echo(), memory };
    {
      await using bot = await TelegramBot.start(options);
      assert.equal(bot.name, 'test_bot');
      api.say('hello');
      assert.deepEqual(await api.messages(1), [{ chat: 7, text: '1: hello' }]);
      api.say('not for you', { chat: -5, type: 'group' });
      api.say('@test_bot what now?', { chat: -5, type: 'group', from: 1 });
      api.say('and you?', { chat: -5, type: 'group', reply_to_message: { from: { id: 1 } } });
      api.say('/reset@other_bot', { chat: -5, type: 'group' });
      await api.messages(3);
      assert.deepEqual(api.sent.slice(1), [
        { chat: -5, text: '1: what now?' },
        { chat: -5, text: '3: and you?' },
      ]);
      assert.ok(api.calls.includes('sendChatAction'));
      assert.ok(api.calls.includes('setMyCommands'));
    }
    // While it was away somebody said something; and Telegram asks for patience.
    api.say('are you there?');
    api.refuse(1);
    {
      await using again = await TelegramBot.start(options);
      assert.equal(again.name, 'test_bot');
      assert.deepEqual((await api.messages(4)).at(-1), { chat: 7, text: '3: are you there?' });
    }
    memory.close();
  });

  it('says that its token is unknown, and never the token itself', async (context) => {
    await using api = await FakeBotApi.start();
    const memory = await BotMemory.open(await memoryFile(context));
    const options = { apiRoot: api.url, model: new Echo(), memory };
    await assert.rejects(TelegramBot.start({ ...options, token: '9:wrong' }), {
      name: 'UserError',
      message: 'Telegram does not know this token; ask @BotFather for the right one.',
    });
    const nowhere = { ...options, apiRoot: 'http://127.0.0.1:9', token: '9:wrong' };
    await assert.rejects(TelegramBot.start(nowhere), (error: Error) => {
      assert.match(error.message, /^Telegram cannot be reached: /);
      assert.doesNotMatch(error.message, /9:wrong/);
      return true;
    });
    memory.close();
  });
});

describe('a bot on Discord', () => {
  it('answers in private, and in channels when it is mentioned', async (context) => {
    await using discord = await FakeDiscord.start();
    const memory = await BotMemory.open(await memoryFile(context));
    {
      const options = { token: discord.token, apiRoot: discord.url, model: new Echo(), memory };
      await using bot = await DiscordBot.start(options);
      assert.equal(bot.name, 'test_bot');
      discord.say('hello');
      assert.deepEqual(await discord.messages(1), ['7 1: hello']);
      discord.say('not for you', { guild: true });
      discord.say('I am a bot too', { bot: true });
      discord.say('<@1> what now?', { guild: true, mentions: true });
      assert.deepEqual(await discord.messages(2), ['7 1: hello', '8 1: what now?']);
      discord.say('again');
      assert.deepEqual((await discord.messages(3)).at(-1), '7 3: again');
      assert.ok(discord.requests.includes('POST /channels/7/typing'));
    }
    memory.close();
  });

  it('says that its token is unknown', async (context) => {
    await using discord = await FakeDiscord.start();
    const memory = await BotMemory.open(await memoryFile(context));
    const options = { apiRoot: discord.url, model: new Echo(), memory };
    await assert.rejects(DiscordBot.start({ ...options, token: 'MTIz.wrong' }), {
      name: 'UserError',
      message: "Discord does not know this token; the developer portal has the bot's own.",
    });
    memory.close();
  });
});
