import { UserError } from '../base/errors.js';
import { exists, writeFileWhole } from '../base/files.js';
import {
  type DialogModel,
  GENERATION_OPTION_NAMES,
  type GenerationOptions,
  type ReplyCandidate,
  type ReplyOptions,
  withOption,
} from '../decoding/index.js';

/** What a person can say to the program rather than to the model. */
const COMMANDS: readonly (readonly [name: string, use: string, help: string])[] = [
  ['/reset', '/reset', 'start over'],
  ['/undo', '/undo', 'take back the last exchange'],
  ['/retry', '/retry', 'another reply to the last message'],
  ['/candidates', '/candidates [count]', 'other replies to the last message, with their scores'],
  ['/save', '/save [file]', 'write the conversation as chat JSONL'],
  ['/persona', '/persona [line|clear]', 'show, extend or forget what the model is like'],
  ['/set', '/set [option [value]]', 'show or change an option: /set temperature 0.7'],
  ['/help', '/help', 'this list'],
  ['/quit', '/quit', 'leave (as Ctrl-D does); Ctrl-C ends a reply'],
];

/** The list of commands for people. */
export const CHAT_HELP = COMMANDS.map(([, use, help]) => `  ${use.padEnd(24)}${help}`).join('\n');

/** How many replies `/candidates` shows, unless told. */
const DEFAULT_CANDIDATES = 5;

/** Far enough apart that the draws of retries with a seed differ. */
const SEED_STEP = 1_000_003;

/** Where a {@link ChatSession} says things. */
export interface ChatOutput {
  /** What the model says, piece by piece. */
  readonly say: (text: string) => void;
  /** What the program says. */
  readonly note: (text: string) => void;
}

/** How a {@link ChatSession} starts. */
export interface ChatSettings {
  readonly options: GenerationOptions;
  readonly greeting?: string | undefined;
  /** Whether all candidates are shown before each reply. */
  readonly showCandidates?: boolean;
  /** What `/candidates` ranks by where nothing else is set: the models that are loaded beside. */
  readonly ranking?: GenerationOptions['rerank'];
}

/** One conversation of a person with a model, and the commands about it. */
export class ChatSession {
  readonly #model: Pick<DialogModel, 'reply' | 'defaults'>;
  readonly #output: ChatOutput;
  readonly #greeting: string | undefined;
  readonly #showCandidates: boolean;
  readonly #ranking: GenerationOptions['rerank'];
  #options: GenerationOptions;
  #history: string[];
  #retries = 0;

  constructor(
    model: Pick<DialogModel, 'reply' | 'defaults'>,
    { options, greeting, showCandidates = false, ranking }: ChatSettings,
    output: ChatOutput,
  ) {
    this.#model = model;
    this.#options = options;
    this.#greeting = greeting;
    this.#showCandidates = showCandidates;
    this.#ranking = ranking;
    this.#output = output;
    this.#history = this.#opening();
  }

  /** The turns so far, oldest first. */
  get history(): readonly string[] {
    return this.#history;
  }

  #opening(): string[] {
    return this.#greeting === undefined ? [] : [this.#greeting];
  }

  /**
   * Takes a line that a person typed: a command or a message.
   *
   * @returns false if the conversation is over
   * @throws UserError if there is no such command, or it cannot be done.
   */
  async take(line: string, signal: AbortSignal): Promise<boolean> {
    const message = line.trim();
    if (message === '') return true;
    if (!message.startsWith('/')) {
      this.#retries = 0;
      await this.#exchange(message, signal);
      return true;
    }
    const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(message) ?? [];
    switch (name) {
      case '/quit':
        return false;
      case '/help':
        this.#output.note(CHAT_HELP);
        break;
      case '/reset':
        this.#history = this.#opening();
        this.#output.note('A new conversation.');
        break;
      case '/undo':
        this.#undo();
        break;
      case '/retry':
        await this.#retry(signal);
        break;
      case '/candidates':
        await this.#candidates(rest, signal);
        break;
      case '/save':
        await this.#save(rest);
        break;
      case '/persona':
        this.#persona(rest);
        break;
      case '/set':
        this.#set(rest);
        break;
      default:
        throw new UserError(`There is no command ${name}; /help lists them.`);
    }
    return true;
  }

  /** One more turn of the model, in a conversation with itself. */
  async speak(signal: AbortSignal): Promise<string> {
    const reply = await this.#reply(this.#history, signal, { noRepeatHistoryTurns: 'all' });
    if (reply.trim() !== '') this.#history.push(reply);
    return reply;
  }

  /** Opens a conversation. */
  open(turn: string): void {
    this.#history.push(turn);
  }

  async #exchange(message: string, signal: AbortSignal): Promise<void> {
    const reply = await this.#reply([...this.#history, message], signal);
    // A message without a reply would turn around who said what.
    if (reply.trim() === '') this.#output.note('There was no reply; the message is taken back.');
    else this.#history.push(message, reply);
  }

  /** The last message and what came before, without the reply to it. */
  #untilLastMessage(): string[] {
    if (this.#history.length < 2) throw new UserError('There is nothing to reply to yet.');
    return this.#history.slice(0, -1);
  }

  #undo(): void {
    if (this.#history.length < 2) throw new UserError('There is nothing to take back.');
    this.#history = this.#history.slice(0, -2);
    this.#output.note(this.#history.at(-1) ?? 'A new conversation.');
  }

  async #retry(signal: AbortSignal): Promise<void> {
    const before = this.#untilLastMessage();
    this.#retries += 1;
    const reply = await this.#reply(before, signal);
    if (reply.trim() !== '') this.#history = [...before, reply];
  }

  async #candidates(count: string, signal: AbortSignal): Promise<void> {
    const before = this.#untilLastMessage();
    const wanted = count === '' ? undefined : Number(count);
    if (wanted !== undefined && !(Number.isInteger(wanted) && wanted > 0)) {
      throw new UserError(`/candidates ${count}: give a whole number of at least 1.`);
    }
    const number = wanted ?? Math.max(this.#options.numCandidates ?? 1, DEFAULT_CANDIDATES);
    const ranked = this.#options.rerank === undefined && number > 1 ? this.#ranking : undefined;
    const options = {
      ...withOption(this.#options, 'numCandidates', number, this.#model.defaults),
      ...(ranked === undefined ? {} : { rerank: ranked }),
    };
    const pieces = this.#model.reply(before, {
      ...options,
      signal,
      onCandidates: (candidates) => {
        this.#show(candidates);
      },
    });
    // The reply itself is one of them.
    while ((await pieces.next()).done !== true);
  }

  async #save(file: string): Promise<void> {
    if (this.#history.length === 0) throw new UserError('There is nothing to save yet.');
    const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
    const path = file === '' ? `chat-${time}.jsonl` : file;
    if (await exists(path)) {
      throw new UserError(`${path}: it exists already; choose another name or remove it.`);
    }
    const persona = this.#options.persona ?? [];
    // The last turn is the model's.
    const turns = this.#history.map((content, index) => ({
      role: (this.#history.length - index) % 2 === 1 ? 'assistant' : 'user',
      content,
    }));
    const system = persona.length === 0 ? [] : [{ role: 'system', content: persona.join('\n') }];
    await writeFileWhole(path, `${JSON.stringify({ messages: [...system, ...turns] })}\n`);
    this.#output.note(`The conversation is in ${path}.`);
  }

  #persona(line: string): void {
    const lines = this.#options.persona ?? [];
    if (line === 'clear') this.#change('persona', undefined);
    else if (line !== '') this.#change('persona', [...lines, line]);
    this.#output.note((this.#options.persona ?? []).join('\n') || 'There is no persona.');
  }

  #change(option: string, value: unknown): void {
    this.#options = withOption(this.#options, option, value, this.#model.defaults);
  }

  #set(text: string): void {
    const [, given = '', value = ''] = /^(\S*)\s*(.*)$/s.exec(text) ?? [];
    const name = given.replace(/[-_]+([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (value !== '') {
      const changed = value === 'default' ? undefined : valueOf(value);
      this.#change(name, changed);
    } else if (name !== '' && !GENERATION_OPTION_NAMES.includes(name)) {
      throw new UserError(`There is no option ${given}; /set lists those that are set.`);
    }
    const lines = Object.entries(this.#options).flatMap(([key, now]) =>
      now === undefined || (name !== '' && key !== name) ? [] : [`${key} ${JSON.stringify(now)}`],
    );
    this.#output.note(lines.join('\n') || `${name || 'Everything'} is at its default.`);
  }

  async #reply(
    history: readonly string[],
    signal: AbortSignal,
    unlessSet: GenerationOptions = {},
  ): Promise<string> {
    const { seed } = this.#options;
    const options: ReplyOptions = {
      ...unlessSet,
      ...this.#options,
      // With a seed, a second try would be the same as the first.
      ...(seed === undefined ? {} : { seed: seed + this.#retries * SEED_STEP }),
      signal,
      onIntervention: ({ message }) => {
        this.#output.note(message);
      },
      ...(this.#showCandidates
        ? {
            onCandidates: (candidates) => {
              this.#show(candidates);
            },
          }
        : {}),
    };
    let reply = '';
    for await (const piece of this.#model.reply(history, options)) {
      this.#output.say(piece);
      reply += piece;
    }
    this.#output.say('\n');
    return reply;
  }

  #show(candidates: readonly ReplyCandidate[]): void {
    for (const { text, scores } of candidates) {
      const listed = Object.entries(scores).map(([name, value]) => `${name} ${value.toFixed(4)}`);
      this.#output.note(`  ${[...listed, text].join('  ')}`);
    }
  }
}

/** A value as JSON, or else as the text that it is. */
function valueOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return text;
  }
}

/** What a line that starts with `/` may go on as, for readline. */
export function completeLine(line: string): [completions: string[], of: string] {
  const setting = /^\/set\s+(\S*)$/.exec(line)?.[1];
  if (setting !== undefined) {
    const names = GENERATION_OPTION_NAMES.map((name) =>
      name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    );
    return [names.filter((name) => name.startsWith(setting)).map((name) => `${name} `), setting];
  }
  if (!line.startsWith('/')) return [[], line];
  return [COMMANDS.map(([name]) => name).filter((name) => name.startsWith(line)), line];
}
