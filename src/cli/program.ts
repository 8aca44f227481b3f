import { Command, CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { z } from 'zod';
import { codeOf, messageOf, UserError } from '../base/errors.js';
import { errors } from './colors.js';
import { UsageError } from './arguments.js';
import { INTERRUPTED, InterruptedError } from './interrupt.js';
import { type LoadCommand, loadCommands } from './lazy-commands.js';

/** The commands, in the order in which `dialogpt --help` lists them. */
const commands: ReadonlyMap<string, LoadCommand> = new Map<string, LoadCommand>([
  ['demo', async () => (await import('./demo.js')).demoCommand()],
  ['train', async () => (await import('./train.js')).trainCommand()],
  ['generate', async () => (await import('./generate.js')).generateCommand()],
  ['plot', async () => (await import('./plot.js')).plotCommand()],
  ['chat', async () => (await import('./chat.js')).chatCommand()],
  ['rank', async () => (await import('./rank.js')).rankCommand()],
  ['train-ranker', async () => (await import('./train-ranker.js')).trainRankerCommand()],
  [
    'train-preferences',
    async () => (await import('./train-preferences.js')).trainPreferencesCommand(),
  ],
  ['train-value-head', async () => (await import('./train-value-head.js')).trainValueHeadCommand()],
  ['serve', async () => (await import('./serve.js')).serveCommand()],
  ['bot', async () => (await import('./bot.js')).botCommand()],
  ['data', async (words) => (await import('./data.js')).dataCommand(words)],
  ['eval', async () => (await import('./eval.js')).evalCommand()],
  ['convert', async () => (await import('./convert.js')).convertCommand()],
  ['models', async () => (await import('./models.js')).modelsCommand()],
  ['info', async () => (await import('./info.js')).infoCommand()],
]);

const packageJson = z
  .object({ version: z.string(), description: z.string() })
  .parse(createRequire(import.meta.url)('dialogpt/package.json'));

/**
 * The command line: every command of `dialogpt`, each defined in a file of its own, or only the one
 * that `words` name.
 */
export async function createProgram(words: readonly string[] = []): Promise<CommandUnknownOpts> {
  const program = new Command('dialogpt')
    .description(packageJson.description)
    .version(packageJson.version, '-V, --version', 'print the version')
    .option('--verbose', 'print stack traces of errors')
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      outputError: (text, write) => {
        write(errors.red(text));
      },
    });
  for (const command of await loadCommands(commands, words)) program.addCommand(command);
  passSettingsDown(program);
  return program;
}

/** Commands made elsewhere and added do not inherit their parent's settings by themselves. */
function passSettingsDown(parent: CommandUnknownOpts): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    passSettingsDown(command);
  }
}

const DONE = 0;
const FAILED = 1;
const MISUNDERSTOOD = 2;

/**
 * Runs one command line and returns the exit code: 0 done, 1 failed, 2 not understood, 130 ended by
 * Ctrl-C.
 */
export async function runCommandLine(argumentsGiven: readonly string[]): Promise<number> {
  try {
    const program = await createProgram(argumentsGiven);
    await program.parseAsync(argumentsGiven, { from: 'user' });
    return DONE;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : MISUNDERSTOOD;
    return report(error, argumentsGiven.includes('--verbose'));
  }
}

/**
 * Prints an error on standard error and returns the exit code that it stands for. A reader that
 * has closed its pipe, as `head` does, is none.
 */
export function report(error: unknown, verbose = false): number {
  if (codeOf(error) === 'EPIPE') return DONE;
  process.stderr.write(`${errors.red(`dialogpt: ${describe(error, verbose)}`)}\n`);
  if (error instanceof InterruptedError) return INTERRUPTED;
  return error instanceof UsageError ? MISUNDERSTOOD : FAILED;
}

function describe(error: unknown, verbose: boolean): string {
  if (verbose) return inspect(error);
  if (error instanceof UserError) return error.message.trim().replace(/\s*\n\s*/g, ' ');
  return `${messageOf(error)} (this is unexpected: run again with --verbose and report it)`;
}
