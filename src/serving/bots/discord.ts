import {
  Client,
  DiscordAPIError,
  Events,
  GatewayIntentBits,
  type Message,
  Partials,
} from 'discord.js';
import { messageOf, UserError } from '../../base/errors.js';
import { ChatBot, type BotOptions, type Messenger } from './bot.js';

/** How {@link DiscordBot} is started. */
export interface DiscordOptions extends Omit<BotOptions, 'messenger'> {
  /** The bot's token, from Discord's developer portal. */
  readonly token: string;
  /** The API's address, if it is not Discord's own. */
  readonly apiRoot?: string;
}

/** A bot on Discord, through its gateway. */
export class DiscordBot {
  /** What it is called there. */
  readonly name: string;
  /** Rejects if Discord will not have it any more. */
  readonly ended: Promise<void>;
  readonly #client: Client<true>;
  readonly #chats: ChatBot;

  private constructor(client: Client<true>, chats: ChatBot) {
    this.name = client.user.username;
    this.#client = client;
    this.#chats = chats;
    this.ended = new Promise((_, reject) => {
      client.once(Events.Invalidated, () => {
        reject(new UserError('Discord has ended the session; check the token and start again.'));
      });
    });
    // Whoever stops the bot need not wait for this.
    this.ended.catch(() => undefined);
    chats.resume();
  }

  /**
   * Starts to answer.
   *
   * @throws UserError if Discord does not know the token or cannot be reached.
   */
  static async start({ token, apiRoot, ...options }: DiscordOptions): Promise<DiscordBot> {
    const client = new Client({
      intents: [
        GatewayIntentBits.Guilds,
        GatewayIntentBits.GuildMessages,
        GatewayIntentBits.DirectMessages,
        GatewayIntentBits.MessageContent,
      ],
      // Without it, the first direct message of a person is not seen.
      partials: [Partials.Channel],
      // A reply is never to call up everyone in a channel.
      allowedMentions: { parse: [] },
      ...(apiRoot === undefined ? {} : { rest: { api: apiRoot } }),
    });
    const messenger: Messenger = {
      longest: 2000,
      typingTime: 10_000,
      typing: async (chat) => {
        await (await channelOf(client, chat)).sendTyping();
      },
      send: async (chat, text) => {
        await (await channelOf(client, chat)).send(text);
      },
    };
    const { log } = options;
    const chats = new ChatBot({ ...options, messenger });
    client.on(Events.MessageCreate, (message) => {
      const text = addressed(message, client.user?.id);
      if (text === undefined) return;
      const { id, username } = message.author;
      chats
        .receive({ chat: `discord:${message.channelId}`, person: id, name: username, text })
        .catch((error: unknown) => {
          log?.(`Discord: ${messageOf(error)}`);
        });
    });
    client.on(Events.Error, (error) => {
      log?.(`Discord: ${error.message}`);
    });
    try {
      const ready = new Promise<Client<true>>((resolve) => {
        client.once(Events.ClientReady, resolve);
      });
      await client.login(token);
      return new DiscordBot(await ready, chats);
    } catch (error) {
      await client.destroy();
      throw new UserError(
        isUnknownToken(error)
          ? "Discord does not know this token; the developer portal has the bot's own."
          : `Discord cannot be reached: ${messageOf(error)}.`,
      );
    }
  }

  /** Stops; what is unanswered is answered after the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chats.stop();
    await this.#client.destroy();
  }
}

function isUnknownToken(error: unknown): boolean {
  if (error instanceof DiscordAPIError && error.status === 401) return true;
  return messageOf(error).includes('invalid token');
}

async function channelOf(
  client: Client,
  chat: string,
): Promise<{ sendTyping(): Promise<unknown>; send(text: string): Promise<unknown> }> {
  const channel = await client.channels.fetch(chat.slice('discord:'.length));
  if (channel?.isSendable() !== true) throw new Error('There is no such channel to speak in.');
  return channel;
}

/** What is said to the bot: everything in private; in channels, what mentions or answers it. */
function addressed(message: Message, me: string | undefined): string | undefined {
  if (message.author.bot || message.content === '') return undefined;
  if (message.guildId === null) return message.content;
  if (me === undefined || !message.mentions.users.has(me)) return undefined;
  // An answer to the bot mentions it too, though not in its text.
  return message.content.replaceAll(new RegExp(`<@!?${me}>`, 'g'), '').trim();
}
