import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';

const BOT = { id: '1', username: 'test_bot', discriminator: '0', global_name: null, avatar: null };
const payloadSchema = z.looseObject({ op: z.number(), d: z.unknown() });

/** Discord's API and gateway as far as a bot needs them, on loopback. */
export class FakeDiscord implements AsyncDisposable {
  readonly token = 'MTIz.secret';
  /** What the bot sent, as `channel text`. */
  readonly sent: string[] = [];
  /** The requests, as `METHOD /path`. */
  readonly requests: string[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #gateway = new WebSocketServer({ server: this.#server });
  #socket: WebSocket | undefined;
  #sequence = 0;
  #lastId = 1000;

  static async start(): Promise<FakeDiscord> {
    const discord = new FakeDiscord();
    discord.#gateway.on('connection', (socket) => {
      discord.#welcome(socket);
    });
    discord.#server.listen(0, '127.0.0.1');
    await once(discord.#server, 'listening');
    return discord;
  }

  get #port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/api`;
  }

  /** Lets somebody say something: in private, or in a channel of a guild. */
  say(content: string, { guild = false, mentions = false, bot = false }: Said = {}): void {
    const author = bot ? { ...BOT, id: '43', bot: true } : { ...BOT, id: '42', username: 'anna' };
    this.#dispatch('MESSAGE_CREATE', {
      id: String(++this.#lastId),
      channel_id: guild ? '8' : '7',
      ...(guild ? { guild_id: '9', channel_type: 0 } : { channel_type: 1 }),
      author,
      content,
      timestamp: '2026-01-01T00:00:00.000000+00:00',
      edited_timestamp: null,
      tts: false,
      mention_everyone: false,
      mentions: mentions ? [BOT] : [],
      mention_roles: [],
      attachments: [],
      embeds: [],
      pinned: false,
      type: 0,
    });
  }

  /** Waits until the bot has sent so many messages. */
  async messages(count: number): Promise<readonly string[]> {
    const end = Date.now() + 20_000;
    while (this.sent.length < count && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.sent;
  }

  #welcome(socket: WebSocket): void {
    this.#socket = socket;
    socket.send(JSON.stringify({ op: 10, d: { heartbeat_interval: 45_000 } }));
    socket.on('message', (data: Buffer) => {
      const { op } = payloadSchema.parse(JSON.parse(data.toString()));
      if (op === 1) socket.send(JSON.stringify({ op: 11, d: null }));
      if (op !== 2) return;
      this.#dispatch('READY', {
        v: 10,
        user: BOT,
        guilds: [{ id: '9', unavailable: true }],
        session_id: 's',
        resume_gateway_url: `ws://127.0.0.1:${this.#port}`,
        application: { id: '1', flags: 0 },
      });
      this.#dispatch('GUILD_CREATE', {
        id: '9',
        name: 'guild',
        owner_id: '42',
        channels: [{ id: '8', type: 0, name: 'general', permission_overwrites: [] }],
        ...{ roles: [], emojis: [], stickers: [], members: [], threads: [], features: [] },
      });
    });
  }

  #dispatch(type: string, content: object): void {
    this.#socket?.send(JSON.stringify({ op: 0, s: ++this.#sequence, t: type, d: content }));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').replace(/^\/api\/v\d+/, '').replace(/\?.*$/, '');
    this.requests.push(`${request.method ?? ''} ${path}`);
    const answer = (status: number, content: object) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(content));
    };
    if (request.headers.authorization !== `Bot ${this.token}`) {
      answer(401, { message: '401: Unauthorized', code: 0 });
      return;
    }
    const [, channel = '', what] = /^\/channels\/(\d+)(?:\/(\w+))?$/.exec(path) ?? [];
    if (path === '/gateway/bot') {
      const limit = { total: 1000, remaining: 999, reset_after: 1000, max_concurrency: 1 };
      const url = `ws://127.0.0.1:${this.#port}`;
      answer(200, { url, shards: 1, session_start_limit: limit });
    } else if (what === 'typing') {
      response.writeHead(204);
      response.end();
    } else if (what === 'messages') {
      const { content } = z.looseObject({ content: z.string() }).parse(await json(request));
      this.sent.push(`${channel} ${content}`);
      answer(200, {
        id: String(++this.#lastId),
        channel_id: channel,
        author: { ...BOT, bot: true },
        content,
        timestamp: '2026-01-01T00:00:00.000000+00:00',
        attachments: [],
        embeds: [],
        mentions: [],
        mention_roles: [],
        type: 0,
      });
    } else {
      answer(200, { id: channel, type: 1, last_message_id: null, recipients: [] });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.terminate();
    this.#gateway.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Where and how something is said. */
interface Said {
  /** In a channel of a guild; otherwise in private. */
  readonly guild?: boolean;
  readonly mentions?: boolean;
  /** Whether another bot says it. */
  readonly bot?: boolean;
}
