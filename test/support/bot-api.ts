import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { z } from 'zod';

const sentSchema = z.looseObject({ chat_id: z.number(), text: z.string() });

/** A message that the bot sent. */
export interface Sent {
  readonly chat: number;
  readonly text: string;
}

/** Telegram's Bot API as far as a bot needs it, on loopback. */
export class FakeBotApi implements AsyncDisposable {
  readonly token = '123:secret';
  /** The methods that were called, in their order. */
  readonly calls: string[] = [];
  readonly sent: Sent[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #updates: { update_id: number; message: object }[] = [];
  #lastUpdate = 100;
  #wake: () => void = () => undefined;
  /** How many calls of `sendMessage` are yet to be refused for being too many. */
  #refusals = 0;

  static async start(): Promise<FakeBotApi> {
    const api = new FakeBotApi();
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Lets somebody say something; `more` are other fields of Telegram's message. */
  say(text: string, { chat = 7, type = 'private', from = 42, ...more }: Said = {}): void {
    this.#updates.push({
      update_id: ++this.#lastUpdate,
      message: {
        message_id: this.#lastUpdate,
        date: 1_700_000_000,
        chat: { id: chat, type, title: 'chat', first_name: 'A' },
        from: { id: from, is_bot: false, first_name: 'A', username: `user${from}` },
        text,
        ...more,
      },
    });
    this.#wake();
  }

  /** The next so many messages are refused once each with a request to wait. */
  refuse(count: number): void {
    this.#refusals = count;
  }

  /** Waits until the bot has sent so many messages. */
  async messages(count: number): Promise<readonly Sent[]> {
    const end = Date.now() + 20_000;
    while (this.sent.length < count && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.sent;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, token, method = ''] = /^\/bot([^/]*)\/(\w+)$/.exec(request.url ?? '') ?? [];
    const body: unknown = request.method === 'POST' ? await json(request) : {};
    const answer = (status: number, content: object) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(content));
    };
    if (token !== this.token) {
      answer(401, { ok: false, error_code: 401, description: 'Unauthorized' });
      return;
    }
    this.calls.push(method);
    if (method === 'getMe') {
      const result = { id: 1, is_bot: true, first_name: 'Bot', username: 'test_bot' };
      answer(200, { ok: true, result });
    } else if (method === 'getUpdates') {
      const { offset = 0 } = z.looseObject({ offset: z.number().optional() }).parse(body);
      this.#updates = this.#updates.filter((update) => update.update_id >= offset);
      if (this.#updates.length === 0) await this.#news(request);
      answer(200, { ok: true, result: this.#updates });
    } else if (method === 'sendMessage') {
      if (this.#refusals > 0) {
        this.#refusals -= 1;
        const parameters = { retry_after: 0 };
        answer(429, { ok: false, error_code: 429, description: 'Too Many Requests', parameters });
        return;
      }
      const { chat_id: chat, text } = sentSchema.parse(body);
      this.sent.push({ chat, text });
      answer(200, {
        ok: true,
        result: { message_id: 1, date: 1, chat: { id: chat, type: 'private' }, text },
      });
    } else answer(200, { ok: true, result: true });
  }

  /** A long poll: until there is news, or a second has passed. */
  async #news(request: IncomingMessage): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      request.socket.once('close', resolve);
      setTimeout(resolve, 1000).unref();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#wake();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Who says something where. */
interface Said {
  readonly chat?: number;
  readonly type?: 'private' | 'group';
  readonly from?: number;
  readonly reply_to_message?: object;
}
