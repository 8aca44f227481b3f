import { type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { createInterface } from 'node:readline/promises';
import { DECODING_TYPES } from '../checkpoint/index.js';
import {
  type DialogModel,
  type GenerationOptions,
  loadModel,
  type ReplyCandidate,
} from '../decoding/index.js';
import { DEVICES } from '../runtime/index.js';
import { errors, output } from './colors.js';
import { defined, wholeNumber } from './arguments.js';
import { findModel, MODEL_HELP } from './find-model.js';
import {
  rerankingModels,
  toGenerationOptions,
  commandWithGenerationFlags,
  DTYPE_HELP,
} from './generation-flags.js';

const HELP = `  /reset  start over
  /undo   take back the last exchange
  /retry  another reply to the last message
  /help   this list
  /quit   leave (as Ctrl-D does); Ctrl-C ends a reply`;

/** How many turns a model takes in a conversation with itself. */
const SELF_TURNS = 10;

/** What opens such a conversation. */
const SELF_GREETING = 'Hello! How are you?';

/** `dialogpt chat`: a conversation in the terminal. */
export function chatCommand(): CommandUnknownOpts {
  return commandWithGenerationFlags('chat')
    .description('talk to a model in the terminal')
    .requiredOption('--model <name>', `the model: ${MODEL_HELP}`)
    .option('--once', 'reply to one line and leave')
    .option('--greeting <text>', 'what the model says first')
    .option('--self [turns]', 'the model talks to itself, from the greeting on', wholeNumber(1))
    .option('--show-candidates', 'show all candidates with their scores on standard error')
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .addOption(new Option('--dtype <type>', DTYPE_HELP).choices(DECODING_TYPES))
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .addHelpText(
      'after',
      `\nIn the conversation:\n${HELP}\n\nExample:\n  dialogpt chat --model my-model\n  echo "Hello!" | dialogpt chat --model my-model --once\n  dialogpt chat --model my-model --num-candidates 16 --rerank mmi --reverse-model my-reverse-model --show-candidates\n  dialogpt chat --model my-model --self 20 --greeting "How was your day?"`,
    )
    .action(async (flags) => {
      const options = await toGenerationOptions(flags);
      await using model = await loadModel(await findModel(flags.model), {
        device: flags.device,
        ...defined({ threads: flags.threads, dtype: flags.dtype }),
        ...(await rerankingModels(flags)),
      });
      const chat = new Chat(model, options, flags.showCandidates === true, flags.greeting);
      const { self } = flags;
      if (self === undefined) await chat.run(flags.once === true);
      else await chat.talkToItself(typeof self === 'number' ? self : SELF_TURNS);
    });
}

/** One conversation over standard input and output. */
class Chat {
  readonly #model: DialogModel;
  readonly #options: GenerationOptions;
  readonly #interactive = process.stdin.isTTY && process.stdout.isTTY;
  readonly #showCandidates: boolean;
  readonly #greeting: string | undefined;
  #history: string[];

  constructor(
    model: DialogModel,
    options: GenerationOptions,
    showCandidates: boolean,
    greeting: string | undefined,
  ) {
    this.#model = model;
    this.#options = options;
    this.#showCandidates = showCandidates;
    this.#greeting = greeting;
    this.#history = this.#opening();
  }

  #opening(): string[] {
    return this.#greeting === undefined ? [] : [this.#greeting];
  }

  /** Both sides are the model; the history alone tells them apart. */
  async talkToItself(turns: number): Promise<void> {
    if (this.#history.length === 0) this.#history.push(SELF_GREETING);
    console.log(`A: ${this.#history.join('')}`);
    const controller = new AbortController();
    const stop = () => {
      controller.abort();
    };
    process.once('SIGINT', stop);
    for (let turn = 0; turn < turns && !controller.signal.aborted; turn++) {
      process.stdout.write(turn % 2 === 0 ? 'B: ' : 'A: ');
      const reply = await this.#reply(controller.signal);
      if (reply.trim() === '') break;
      this.#history.push(reply);
    }
    process.off('SIGINT', stop);
  }

  async run(once: boolean): Promise<void> {
    const terminal = createInterface({
      input: process.stdin,
      ...(this.#interactive ? { output: process.stdout, prompt: output.bold('> ') } : {}),
    });
    let replying: AbortController | undefined;
    terminal.on('SIGINT', () => {
      if (replying === undefined) terminal.close();
      else replying.abort();
    });
    if (this.#interactive) console.log(output.dim('Say something; /help lists the commands.'));
    if (this.#greeting !== undefined) console.log(this.#greeting);
    if (this.#interactive) terminal.prompt();
    for await (const line of terminal) {
      const message = line.trim();
      if (message === '/quit') break;
      if (message !== '') {
        replying = new AbortController();
        await this.#answer(message, replying.signal);
        replying = undefined;
        if (once) break;
      }
      if (this.#interactive) terminal.prompt();
    }
    terminal.close();
  }

  async #answer(message: string, signal: AbortSignal): Promise<void> {
    switch (message) {
      case '/help':
        console.log(HELP);
        return;
      case '/reset':
        this.#history = this.#opening();
        this.#note('A new conversation.');
        return;
      case '/undo':
        if (this.#history.length > 1) this.#history.splice(-2);
        this.#note(this.#history.at(-1) ?? 'A new conversation.');
        return;
      case '/retry':
        if (this.#history.length < 2) {
          this.#note('There is nothing to reply to yet.');
          return;
        }
        this.#history.pop();
        break;
      default:
        if (message.startsWith('/')) {
          this.#note(`There is no command ${message}; /help lists them.`);
          return;
        }
        this.#history.push(message);
    }
    this.#history.push(await this.#reply(signal));
  }

  async #reply(signal: AbortSignal): Promise<string> {
    let reply = '';
    const pieces = this.#model.reply(this.#history, {
      ...this.#options,
      signal,
      onIntervention: ({ message }) => {
        this.#note(message);
      },
      ...(this.#showCandidates
        ? {
            onCandidates: (candidates) => {
              for (const candidate of candidates) this.#note(describeCandidate(candidate));
            },
          }
        : {}),
    });
    for await (const piece of pieces) {
      process.stdout.write(piece);
      reply += piece;
    }
    process.stdout.write('\n');
    return reply;
  }

  #note(text: string): void {
    process.stderr.write(`${errors.dim(text)}\n`);
  }
}

/** A candidate with its scores on one line. */
function describeCandidate({ text, scores }: ReplyCandidate): string {
  const listed = Object.entries(scores).map(([name, value]) => `${name} ${value.toFixed(4)}`);
  return `  ${listed.join('  ')}  ${text}`;
}
