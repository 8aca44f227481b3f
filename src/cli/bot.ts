import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { once } from 'node:events';
import { UserError } from '../base/errors.js';
import { DEFAULT_MODEL } from '../checkpoint/index.js';
import { loadModel } from '../decoding/index.js';
import type { BotOptions } from '../serving/bots/bot.js';
import { defined, wholeNumber } from './arguments.js';
import { dataFile } from './data-file.js';
import { findModel, MODEL_HELP } from './find-model.js';
import {
  checkFlags,
  commandWithGenerationFlags,
  speakerOptions,
  toGenerationOptions,
} from './generation-flags.js';
import { Interrupt } from './interrupt.js';

/** A bot that runs. */
interface RunningBot extends AsyncDisposable {
  /** What it is called where it runs. */
  readonly name: string;
  /** Resolves or rejects when it cannot go on. */
  readonly ended: Promise<void>;
}

/** A service on which a bot can be. */
interface Service {
  readonly name: 'telegram' | 'discord';
  readonly title: string;
  /** The environment variable of the token, which is not to be seen in the list of processes. */
  readonly variable: string;
  readonly tokenHelp: string;
  readonly start: (
    options: Omit<BotOptions, 'messenger'> & { readonly token: string; readonly apiRoot?: string },
  ) => Promise<RunningBot>;
}

const SERVICES: readonly Service[] = [
  {
    name: 'telegram',
    title: 'Telegram',
    variable: 'TELEGRAM_BOT_TOKEN',
    tokenHelp: 'the token that @BotFather gave',
    start: async (options) => {
      const { TelegramBot } = await import('../serving/bots/telegram.js');
      return TelegramBot.start(options);
    },
  },
  {
    name: 'discord',
    title: 'Discord',
    variable: 'DISCORD_BOT_TOKEN',
    tokenHelp: "the bot's token, from Discord's developer portal",
    start: async (options) => {
      const { DiscordBot } = await import('../serving/bots/discord.js');
      return DiscordBot.start(options);
    },
  },
];

/** `dialogpt bot`: a model as a participant of chats elsewhere. */
export function botCommand(): CommandUnknownOpts {
  const command = new Command('bot').description('let a model talk on Telegram or Discord');
  for (const service of SERVICES) command.addCommand(serviceCommand(service));
  return command;
}

function serviceCommand({ name, title, variable, tokenHelp, start }: Service): CommandUnknownOpts {
  return commandWithGenerationFlags(name)
    .description(`let a model talk on ${title}`)
    .option('--model <name>', `the model: ${MODEL_HELP}`, DEFAULT_MODEL)
    .option('--token <token>', `${tokenHelp}; better in ${variable}`)
    .option('--memory <file>', 'where conversations are kept', dataFile(`${name}.sqlite`))
    .option('--allow <who...>', 'ids of people or chats, or names, that may talk; all if not given')
    .option('--rate-limit <messages>', 'messages a minute of one person', wholeNumber(1), 20)
    .option('--greeting <text>', 'what it says at /start')
    .option('--slots <count>', 'replies generated side by side', wholeNumber(1), 4)
    .option('--api-root <address>', `the address of the API, if not ${title}'s own`)
    .addHelpText(
      'after',
      `\nExample:\n  ${variable}=… dialogpt bot ${name} --model medium --allow alice bob`,
    )
    .action(async (flags) => {
      const token = flags.token ?? process.env[variable];
      if (token === undefined || token === '') {
        throw new UserError(
          `Without a token there is no bot: put ${tokenHelp} into the environment variable ${variable}.`,
        );
      }
      const generation = await toGenerationOptions(flags);
      const path = await findModel(flags.model);
      await using model = await loadModel(path, {
        ...(await speakerOptions(flags, path)),
        slots: flags.slots,
        warmUp: true,
      });
      checkFlags(generation, model.defaults);
      const { BotMemory } = await import('../serving/bots/memory.js');
      const memory = await BotMemory.open(flags.memory);
      await using bot = await start({
        token,
        model,
        memory,
        generation,
        perMinute: flags.rateLimit,
        log: (line) => {
          process.stderr.write(`${line}\n`);
        },
        ...defined({ allow: flags.allow, greeting: flags.greeting, apiRoot: flags.apiRoot }),
      });
      console.log(`${bot.name} is on ${title} (Ctrl-C ends it).`);
      using interrupt = new Interrupt(() => {
        process.stderr.write('Stopping; what is unanswered is answered after the next start.\n');
      });
      await Promise.race([once(interrupt.signal, 'abort'), bot.ended]);
    });
}
