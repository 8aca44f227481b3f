import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { createInterface } from 'node:readline/promises';
import pc from 'picocolors';
import { type DialogModel, type GenerationOptions, loadModel } from '../decoding/index.js';
import { DEVICES } from '../runtime/index.js';
import { defined, wholeNumber } from './arguments.js';
import { findModel, MODEL_HELP } from './find-model.js';
import { generationFlags, toGenerationOptions } from './generation-flags.js';

const HELP = `  /reset  start over
  /undo   take back the last exchange
  /retry  another reply to the last message
  /help   this list
  /quit   leave (as Ctrl-D does); Ctrl-C ends a reply`;

/** `dialogpt chat`: a conversation in the terminal. */
export function chatCommand(): CommandUnknownOpts {
  return new Command('chat')
    .description('talk to a model in the terminal')
    .requiredOption('--model <name>', `the model: ${MODEL_HELP}`)
    .option('--once', 'reply to one line and leave')
    .addOption(generationFlags.maxNewTokens)
    .addOption(generationFlags.greedy)
    .addOption(generationFlags.temperature)
    .addOption(generationFlags.topK)
    .addOption(generationFlags.topP)
    .addOption(generationFlags.maxHistoryTurns)
    .addOption(generationFlags.seed)
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .addHelpText(
      'after',
      `\nIn the conversation:\n${HELP}\n\nExample:\n  dialogpt chat --model my-model\n  echo "Hello!" | dialogpt chat --model my-model --once`,
    )
    .action(async ({ model: path, once, device, threads, ...flags }) => {
      const options = toGenerationOptions(flags);
      await using model = await loadModel(await findModel(path), {
        device,
        ...defined({ threads }),
      });
      await new Chat(model, options).run(once === true);
    });
}

/** One conversation over standard input and output. */
class Chat {
  readonly #model: DialogModel;
  readonly #options: GenerationOptions;
  readonly #interactive = process.stdin.isTTY && process.stdout.isTTY;
  #history: string[] = [];

  constructor(model: DialogModel, options: GenerationOptions) {
    this.#model = model;
    this.#options = options;
  }

  async run(once: boolean): Promise<void> {
    const terminal = createInterface({
      input: process.stdin,
      ...(this.#interactive ? { output: process.stdout, prompt: pc.bold('> ') } : {}),
    });
    let replying: AbortController | undefined;
    terminal.on('SIGINT', () => {
      if (replying === undefined) terminal.close();
      else replying.abort();
    });
    if (this.#interactive) console.log(pc.dim('Say something; /help lists the commands.'));
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
        this.#history = [];
        this.#note('A new conversation.');
        return;
      case '/undo':
        this.#history.splice(-2);
        this.#note(this.#history.at(-1) ?? 'A new conversation.');
        return;
      case '/retry':
        if (this.#history.length === 0) {
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
    for await (const piece of this.#model.reply(this.#history, { ...this.#options, signal })) {
      process.stdout.write(piece);
      reply += piece;
    }
    process.stdout.write('\n');
    return reply;
  }

  #note(text: string): void {
    process.stderr.write(`${pc.dim(text)}\n`);
  }
}
