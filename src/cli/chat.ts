import { type CommandUnknownOpts } from '@commander-js/extra-typings';
import { createInterface } from 'node:readline/promises';
import { messageOf, UserError } from '../base/errors.js';
import { DEFAULT_MODEL, hasValueHead } from '../checkpoint/index.js';
import {
  loadModel,
  type LoadOptions,
  readModelDefaults,
  type RerankerName,
} from '../decoding/index.js';
import { errors, output } from './colors.js';
import { wholeNumber } from './arguments.js';
import { CHAT_HELP, type ChatOutput, ChatSession, completeLine } from './chat-session.js';
import { findModel, MODEL_HELP } from './find-model.js';
import {
  checkFlags,
  commandWithGenerationFlags,
  speakerOptions,
  toGenerationOptions,
} from './generation-flags.js';
import { defaultHistoryFile, loadLineHistory, saveLineHistory } from './line-history.js';

/** How many turns a model takes in a conversation with itself. */
const SELF_TURNS = 10;

/** What opens such a conversation. */
const SELF_GREETING = 'Hello! How are you?';

/** Model and program, each on its own stream. */
const terminalOutput: ChatOutput = {
  say: (text) => {
    process.stdout.write(text);
  },
  note: (text) => {
    process.stderr.write(`${errors.dim(text)}\n`);
  },
};

/** `dialogpt chat`: a conversation in the terminal. */
export function chatCommand(): CommandUnknownOpts {
  return commandWithGenerationFlags('chat')
    .description('talk to a model in the terminal')
    .option('--model <name>', `the model: ${MODEL_HELP}`, DEFAULT_MODEL)
    .option('--once', 'reply to one message and leave')
    .option('--greeting <text>', 'what the model says first')
    .option('--self [turns]', 'the model talks to itself, from the greeting on', wholeNumber(1))
    .option('--show-candidates', 'show all candidates with their scores on standard error')
    .option('--history-file <file>', 'where typed lines are kept for the arrow keys')
    .option('--no-history-file', 'keep no typed lines')
    .addHelpText(
      'after',
      `\nIn the conversation:\n${CHAT_HELP}\n\nExample:\n  dialogpt chat --model my-model\n  echo "Hello!" | dialogpt chat --model my-model --once\n  dialogpt chat --model my-model --num-candidates 16 --rerank mmi --reverse-model my-reverse-model --show-candidates\n  dialogpt chat --model my-model --self 20 --greeting "How was your day?"`,
    )
    .action(async (flags) => {
      const options = await toGenerationOptions(flags);
      const { self, greeting } = flags;
      const showCandidates = flags.showCandidates === true;
      const path = await findModel(flags.model);
      const loading = await speakerOptions(flags, path);
      await using model = await loadModel(path, loading);
      checkFlags(options, model.defaults);
      const ranking = await rankingOf(loading, path);
      const settings = { options, greeting, showCandidates, ranking };
      const session = new ChatSession(model, settings, terminalOutput);
      if (self !== undefined) {
        await talkToItself(session, typeof self === 'number' ? self : SELF_TURNS);
        return;
      }
      if (greeting !== undefined) console.log(greeting);
      if (process.stdin.isTTY && process.stdout.isTTY) {
        const { historyFile } = flags;
        const file = typeof historyFile === 'string' ? historyFile : defaultHistoryFile();
        await talk(session, historyFile === false ? undefined : file, flags.once === true);
      } else {
        await answerLines(session, flags.once === true);
      }
    });
}

/** What candidates can be ranked by with the models that are loaded; undefined if by nothing. */
async function rankingOf(
  { rankers = [], reverseModel }: LoadOptions,
  path: string,
): Promise<RerankerName | undefined> {
  if (rankers.length > 0) return 'ranker';
  if (reverseModel === undefined && (await hasValueHead(path))) return 'value';
  const reverse = reverseModel ?? (await readModelDefaults(path)).reverseModel;
  return reverse === undefined ? undefined : 'mmi';
}

/** Whether `--once` has had the line that it replies to: empty lines and commands are none. */
function isMessage(line: string): boolean {
  return /^\s*[^\s/]/.test(line);
}

/** Both sides are the model; the history alone tells them apart. */
async function talkToItself(session: ChatSession, turns: number): Promise<void> {
  if (session.history.length === 0) session.open(SELF_GREETING);
  console.log(`A: ${session.history.join('')}`);
  const controller = new AbortController();
  const stop = () => {
    controller.abort();
  };
  process.once('SIGINT', stop);
  for (let turn = 0; turn < turns && !controller.signal.aborted; turn++) {
    process.stdout.write(turn % 2 === 0 ? 'B: ' : 'A: ');
    if ((await session.speak(controller.signal)).trim() === '') break;
  }
  process.off('SIGINT', stop);
}

/** Answers the lines of a pipe or a file; what cannot be done ends the program. */
async function answerLines(session: ChatSession, once: boolean): Promise<void> {
  const { signal } = new AbortController();
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    if (!(await session.take(line, signal))) break;
    if (once && isMessage(line)) break;
  }
  lines.close();
}

/** Talks to a person at a terminal; what cannot be done is said, and the conversation goes on. */
async function talk(
  session: ChatSession,
  historyFile: string | undefined,
  once: boolean,
): Promise<void> {
  let typed = historyFile === undefined ? [] : await loadLineHistory(historyFile);
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: output.bold('> '),
    history: [...typed],
    removeHistoryDuplicates: true,
    completer: completeLine,
  });
  terminal.on('history', (lines: string[]) => {
    typed = [...lines];
  });
  let replying: AbortController | undefined;
  terminal.on('SIGINT', () => {
    if (replying === undefined) terminal.close();
    else replying.abort();
  });
  console.log(output.dim('Say something; /help lists the commands.'));
  terminal.prompt();
  for await (const line of terminal) {
    replying = new AbortController();
    try {
      if (!(await session.take(line, replying.signal))) break;
      if (once && isMessage(line)) break;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      terminalOutput.note(messageOf(error));
    }
    replying = undefined;
    terminal.prompt();
  }
  terminal.close();
  if (historyFile !== undefined) await saveLineHistory(historyFile, typed);
}
