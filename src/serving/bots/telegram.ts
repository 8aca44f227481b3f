import { autoRetry } from '@grammyjs/auto-retry';
import { Bot, GrammyError } from 'grammy';
import type { Message } from 'grammy/types';
import { messageOf, UserError } from '../../base/errors.js';
import { ChatBot, type BotOptions, type Messenger } from './bot.js';
import { COMMANDS } from './commands.js';

/** How {@link TelegramBot} is started. */
export interface TelegramOptions extends Omit<BotOptions, 'messenger'> {
  /** The token that @BotFather gave. */
  readonly token: string;
  /** The Bot API's address, if it is not Telegram's own. */
  readonly apiRoot?: string;
}

/** A bot on Telegram, by long polling of the Bot API. */
export class TelegramBot {
  /** What it is called there. */
  readonly name: string;
  readonly #bot: Bot;
  readonly #chats: ChatBot;
  readonly #polling: Promise<void>;

  private constructor(bot: Bot, chats: ChatBot) {
    this.name = bot.botInfo.username;
    this.#bot = bot;
    this.#chats = chats;
    chats.resume();
    this.#polling = bot.start();
  }

  /**
   * Starts to answer.
   *
   * @throws UserError if Telegram does not know the token or cannot be reached.
   */
  static async start({ token, apiRoot, ...options }: TelegramOptions): Promise<TelegramBot> {
    const bot = new Bot(token, apiRoot === undefined ? {} : { client: { apiRoot } });
    try {
      bot.botInfo = await bot.api.getMe();
      await bot.api.setMyCommands(
        Object.entries(COMMANDS).map(([command, description]) => ({ command, description })),
      );
    } catch (error) {
      const unknown = error instanceof GrammyError && error.error_code === 401;
      throw new UserError(
        unknown
          ? 'Telegram does not know this token; ask @BotFather for the right one.'
          : `Telegram cannot be reached: ${withoutToken(error, token)}.`,
      );
    }
    // Now that it is known to work, what fails is tried again: Telegram asks for patience at times.
    bot.api.config.use(autoRetry({ maxRetryAttempts: 8, maxDelaySeconds: 60 }));
    const messenger: Messenger = {
      longest: 4096,
      typingTime: 5000,
      typing: async (chat) => {
        await bot.api.sendChatAction(numberOf(chat), 'typing');
      },
      send: async (chat, text) => {
        await bot.api.sendMessage(numberOf(chat), text);
      },
    };
    const log = options.log;
    const chats = new ChatBot({ ...options, messenger });
    bot.on('message:text', async ({ message, me }) => {
      const text = addressed(message, me);
      if (text === undefined) return;
      const { id, username } = message.from;
      await chats.receive({
        chat: `telegram:${message.chat.id}`,
        person: String(id),
        ...(username === undefined ? {} : { name: username }),
        text,
      });
    });
    bot.catch(({ error }) => {
      log?.(`Telegram: ${withoutToken(error, token)}`);
    });
    return new TelegramBot(bot, chats);
  }

  /** Resolves when the bot has stopped; rejects if Telegram will not have it any more. */
  get ended(): Promise<void> {
    return this.#polling;
  }

  /** Stops; what is unanswered is answered after the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bot.stop();
    await this.#chats.stop();
    await this.#polling;
  }
}

function numberOf(chat: string): number {
  return Number(chat.slice('telegram:'.length));
}

/** An error's message; the token is a part of every address of the Bot API. */
function withoutToken(error: unknown, token: string): string {
  return messageOf(error).replaceAll(token, '<token>');
}

/**
 * What is said to the bot: everything in private; in groups, what mentions it, answers it, or is a
 * command to it.
 */
function addressed(
  message: Message.TextMessage,
  me: { readonly id: number; readonly username: string },
): string | undefined {
  const { text, chat } = message;
  if (chat.type === 'private') return text;
  const mention = new RegExp(`@${me.username}\\b`, 'gi');
  const command = /^\/\w+(?:@(\w+))?/.exec(text);
  if (command !== null) {
    const whom = command[1];
    return whom?.toLowerCase() === me.username.toLowerCase() ? text : undefined;
  }
  if (mention.test(text)) return text.replace(mention, '').replaceAll(/\s+/g, ' ').trim();
  return message.reply_to_message?.from?.id === me.id ? text : undefined;
}
