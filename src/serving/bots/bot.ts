import pLimit, { type LimitFunction } from 'p-limit';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { messageOf } from '../../base/errors.js';
import type { DialogModel, GenerationOptions, ReplyOptions } from '../../decoding/index.js';
import { type Manner, optionsOf, parseCommand, runCommand } from './commands.js';
import type { BotMemory, Chat, Incoming, Unanswered } from './memory.js';

/** A service that carries messages, such as Telegram. */
export interface Messenger {
  /** The most characters of a message. */
  readonly longest: number;
  /** How long its sign of typing is seen, in milliseconds. */
  readonly typingTime: number;
  /** Shows that the bot is typing. */
  typing(chat: string): Promise<void>;
  send(chat: string, text: string): Promise<void>;
}

/** How a {@link ChatBot} answers. */
export interface BotOptions {
  readonly model: Pick<DialogModel, 'reply' | 'defaults'>;
  readonly memory: BotMemory;
  readonly messenger: Messenger;
  /** How replies are generated where a chat does not say. */
  readonly generation?: GenerationOptions;
  /** Who may talk to it: ids of people or chats, or names. Everyone unless given. */
  readonly allow?: readonly string[] | undefined;
  /** Messages that it takes of one person in a minute. */
  readonly perMinute?: number;
  /** What it says at `/start`. */
  readonly greeting?: string;
  /** Is told what happens; never the texts. */
  readonly log?: (line: string) => void;
}

/**
 * Answers messages of many chats, each with a history of its own. What was received is noted before
 * anything else, so that it is answered after a restart if it was not before.
 */
export class ChatBot {
  readonly #options: BotOptions;
  readonly #manner: Manner;
  readonly #limiter: RateLimiterMemory;
  /** Messages of one chat are answered one after the other. */
  readonly #turns = new Map<string, LimitFunction>();
  readonly #stop = new AbortController();
  readonly #working = new Set<Promise<void>>();

  constructor(options: BotOptions) {
    this.#options = options;
    const { model, generation = {}, greeting = 'Hello! Say something, or /help.' } = options;
    this.#manner = { greeting, generation, defaults: model.defaults };
    this.#limiter = new RateLimiterMemory({ points: options.perMinute ?? 20, duration: 60 });
  }

  /** Answers what was left unanswered when the bot was last stopped. */
  resume(): void {
    for (const waiting of this.#options.memory.unanswered()) this.#enqueue(waiting);
  }

  /** Takes a message; resolves once it is safely noted, before it is answered. */
  async receive(incoming: Incoming): Promise<void> {
    const { allow, memory, messenger, log } = this.#options;
    const { chat, person, name } = incoming;
    if (allow !== undefined && ![chat, person, name].some((who) => allow.includes(who ?? ''))) {
      log?.(`${chat}: ${person} is not on the list of those who may talk`);
      return;
    }
    try {
      await this.#limiter.consume(person);
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      // The first message too many is answered with a request to wait, the others with silence.
      if (refusal.consumedPoints === this.#limiter.points + 1) {
        const seconds = Math.ceil(refusal.msBeforeNext / 1000);
        await messenger.send(chat, `That is a lot at once. Give me ${seconds} seconds, please.`);
      }
      return;
    }
    this.#enqueue(memory.receive(incoming));
  }

  /** Gives up what is under way, which is answered after the next start. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#working);
  }

  #enqueue(waiting: Unanswered): void {
    const { chat } = waiting.incoming;
    const turn = this.#turns.get(chat) ?? pLimit(1);
    this.#turns.set(chat, turn);
    const work = turn(() => this.#answer(waiting))
      .catch((error: unknown) => {
        this.#options.log?.(`${chat}: ${messageOf(error)}`);
      })
      .finally(() => {
        this.#working.delete(work);
        if (turn.activeCount + turn.pendingCount === 0) this.#turns.delete(chat);
      });
    this.#working.add(work);
  }

  async #answer(waiting: Unanswered): Promise<void> {
    const { memory } = this.#options;
    const { chat: id, text } = waiting.incoming;
    if (this.#stop.signal.aborted) return;
    const known = memory.chat(id);
    const command = parseCommand(text);
    if (command === undefined) {
      await this.#reply(waiting, known, text);
      return;
    }
    const outcome = runCommand(command.name, command.rest, known, this.#manner);
    if (outcome.type === 'reply') {
      await this.#reply(waiting, outcome.chat, outcome.text);
      return;
    }
    if (outcome.chat !== undefined) memory.keep(id, outcome.chat);
    await this.#say(id, outcome.text);
    memory.answered(waiting);
  }

  async #reply(waiting: Unanswered, chat: Chat, text: string): Promise<void> {
    const { memory, model, log } = this.#options;
    const { chat: id } = waiting.incoming;
    const history = [...chat.turns, text];
    const started = performance.now();
    const { signal } = this.#stop;
    const persona = chat.persona.length === 0 ? {} : { persona: chat.persona };
    const options: ReplyOptions = {
      ...optionsOf(chat, this.#manner),
      ...persona,
      signal,
      onIntervention: ({ action, entry }) => {
        log?.(`${id}: a reply was ${action} (${entry})`);
      },
    };
    const stopTyping = this.#type(id);
    let reply = '';
    try {
      for await (const piece of model.reply(history, options)) reply += piece;
    } catch (error) {
      memory.answered(waiting);
      await this.#say(id, 'Sorry, I could not think of an answer. Please try again.');
      throw error;
    } finally {
      stopTyping();
    }
    // Stopped in the middle: it is answered after the next start.
    if (this.#stop.signal.aborted) return;
    await this.#say(id, reply);
    memory.keep(id, { ...chat, turns: [...history, reply] });
    memory.answered(waiting);
    log?.(`${id}: answered in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }

  /** Sends a text, in several messages if it is too long for one. */
  async #say(chat: string, text: string): Promise<void> {
    const { messenger } = this.#options;
    for (const part of partsOf(text, messenger.longest)) await messenger.send(chat, part);
  }

  /** Shows that the bot is typing, until the returned function is called. */
  #type(chat: string): () => void {
    const { messenger } = this.#options;
    const show = () => {
      // A sign of typing that is lost is no loss.
      messenger.typing(chat).catch(() => undefined);
    };
    show();
    const timer = setInterval(show, messenger.typingTime * 0.8);
    return () => {
      clearInterval(timer);
    };
  }
}

/** A text in parts of at most so many UTF-16 units, cut between what people see as characters. */
function partsOf(text: string, longest: number): string[] {
  if (text.length <= longest) return [text];
  const parts: string[] = [];
  let part = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (part.length + segment.length > longest) {
      parts.push(part);
      part = '';
    }
    part += segment;
  }
  return [...parts, part];
}
