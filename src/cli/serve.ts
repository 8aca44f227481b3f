import { type CommandUnknownOpts, Command, Option } from '@commander-js/extra-typings';
import { once } from 'node:events';
import { type GenerationOptions, loadModel } from '../decoding/index.js';
import { DECODING_TYPES, DEFAULT_MODEL } from '../checkpoint/index.js';
import { DEVICES } from '../runtime/index.js';
import type { ServerOptions } from '../serving/index.js';
import { defined, number, positiveNumber, UsageError, wholeNumber } from './arguments.js';
import { dataFile } from './data-file.js';
import { findModel, MODEL_HELP } from './find-model.js';
import { DTYPE_HELP, findRankers, readBlockList } from './generation-flags.js';
import { Interrupt } from './interrupt.js';

const LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;

/** `dialogpt serve`: OpenAI's API over HTTP. */
export function serveCommand(): CommandUnknownOpts {
  return new Command('serve')
    .description("serve a model over HTTP: a chat page and OpenAI's API")
    .option('--model <name>', `the model: ${MODEL_HELP}`, DEFAULT_MODEL)
    .option('--model-name <names...>', "what clients call it (the model's name)")
    .option('--reverse-model <name>', 'a model of reversed conversations, for rerank: mmi')
    .option(
      '--ranker <name[=weight]...>',
      'ranking models for /v1/rerank and rerank: ranker: updown, depth, width, human-vs-rand, human-vs-machine, or a path',
    )
    .option('--host <address>', 'the address to listen at', '127.0.0.1')
    .option('--port <number>', 'the port; 0 is any that is free', wholeNumber(0), 8000)
    .option(
      '--api-key <keys...>',
      'keys of which clients must show one; also from DIALOGPT_API_KEY, separated by commas',
    )
    .option('--allow-unauthenticated', 'listen beyond this machine without a key')
    .option('--allowed-host <names...>', 'names by which the server may be asked besides its own')
    .option('--cors-origin <origins...>', 'sites whose pages may ask; * is all')
    .option('--rate-limit <requests>', 'requests a minute of one key or address', wholeNumber(1))
    .option('--trust-proxy', 'a proxy in front tells who asks, in X-Forwarded-For')
    .option('--slots <count>', 'replies generated side by side', wholeNumber(1), 8)
    .option('--max-queue <count>', 'replies that may wait for a slot', wholeNumber(0), 64)
    .option('--max-body <bytes>', 'the largest request', wholeNumber(1), 2 ** 20)
    .option('--request-timeout <seconds>', 'how long an answer may take', positiveNumber, 120)
    .option(
      '--drain-timeout <seconds>',
      'how long answers under way may go on after SIGTERM or Ctrl-C',
      number('a number of at least 0', (value) => value >= 0),
      30,
    )
    .option('--safety', 'withhold replies with blocked words, whatever a request asks for')
    .option('--block-list <file>', 'the words and phrases to block, one a line; with --safety')
    .option('--persona <lines...>', 'what the speaker is like, where a request does not say')
    .option(
      '--max-history-turns <turns>',
      "turns of a conversation to read (0 is all that fit; the model's own, or all)",
      wholeNumber(0),
    )
    .option(
      '--conversations <file>',
      "where the page's conversations are kept",
      dataFile('conversations.sqlite'),
    )
    .option('--no-web', 'serve the API alone, without the page')
    .option('--log-messages', 'log the texts of requests and answers too')
    .addOption(new Option('--log-level <level>', 'what is logged').choices(LEVELS).default('info'))
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .addOption(new Option('--dtype <type>', DTYPE_HELP).choices(DECODING_TYPES))
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .option('--json', 'tell where the server listens as JSON')
    .addHelpText(
      'after',
      `
Examples:
  dialogpt serve --model my-model
  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"model": "my-model", "messages": [{"role": "user", "content": "Hello!"}]}'
  DIALOGPT_API_KEY=secret dialogpt serve --model medium --host 0.0.0.0 --rate-limit 60`,
    )
    .action(async (flags) => {
      if (flags.blockList !== undefined && flags.safety !== true) {
        throw new UsageError('--block-list is not used without --safety.');
      }
      if (flags.port > 65535) throw new UsageError('--port: ports end at 65535.');
      const { model, reverseModel, ranker } = flags;
      const defaults: GenerationOptions = {
        ...defined({
          maxHistoryTurns: flags.maxHistoryTurns,
          safety: flags.safety,
          persona: flags.persona,
          blockList:
            flags.blockList === undefined ? undefined : await readBlockList(flags.blockList),
        }),
      };
      const options: ServerOptions = {
        model: await findModel(model),
        modelNames: flags.modelName ?? [
          model.replace(/\/+$/, '').replace(/^\.{0,2}\/(?:.*\/)?/, ''),
        ],
        loading: {
          device: flags.device,
          slots: flags.slots,
          ...defined({ threads: flags.threads, dtype: flags.dtype }),
          ...(reverseModel === undefined ? {} : { reverseModel: await findModel(reverseModel) }),
          ...(ranker === undefined ? {} : { rankers: await findRankers(ranker) }),
        },
        defaults,
        apiKeys: [...(flags.apiKey ?? []), ...keysOfEnvironment()],
        host: flags.host,
        port: flags.port,
        maxQueue: flags.maxQueue,
        maxBody: flags.maxBody,
        requestTimeout: flags.requestTimeout,
        logLevel: flags.logLevel,
        ...defined({
          allowUnauthenticated: flags.allowUnauthenticated,
          allowedHosts: flags.allowedHost,
          corsOrigins: flags.corsOrigin,
          rateLimit: flags.rateLimit,
          trustProxy: flags.trustProxy,
          logMessages: flags.logMessages,
        }),
      };
      await serve(options, flags, flags.web ? flags.conversations : undefined);
    });
}

interface ServeFlags {
  readonly drainTimeout: number;
  readonly json?: true;
}

/** Serves until SIGTERM or Ctrl-C; a second one ends the program at once. */
async function serve(
  options: ServerOptions,
  flags: ServeFlags,
  kept: string | undefined,
): Promise<void> {
  // The model is loaded by a thread of its own, meanwhile the server's libraries by this one.
  const firstModel = loadModel(options.model, { warmUp: true, ...options.loading });
  try {
    await serveModel({ ...options, firstModel }, flags, kept);
  } catch (error) {
    await (await firstModel.catch(() => undefined))?.[Symbol.asyncDispose]();
    throw error;
  }
}

async function serveModel(
  options: ServerOptions,
  { drainTimeout, json }: ServeFlags,
  kept: string | undefined,
): Promise<void> {
  // Only this command needs them.
  const serving = await import('../serving/index.js');
  const store = kept === undefined ? undefined : await serving.ConversationStore.open(kept);
  const extensions =
    store === undefined
      ? []
      : [
          await serving.pages(),
          serving.conversations(store),
          serving.browserModel(options.model, options.loading?.dtype ?? 'fp32'),
        ];
  const server = await serving.startServer({ ...options, extensions });
  const { url, port } = server;
  using interrupt = new Interrupt(() => {
    process.stderr.write('dialogpt: going down; answers under way may end.\n');
  });
  const [model] = server.services.modelNames;
  console.log(
    json === true
      ? JSON.stringify({ event: 'ready', url, port, model, pid: process.pid })
      : `${model} is served at ${url} (Ctrl-C ends it).`,
  );
  await once(interrupt.signal, 'abort');
  await server.close(drainTimeout);
  store?.close();
}

/** Keys that are not to be seen in the list of processes. */
function keysOfEnvironment(): string[] {
  return (process.env.DIALOGPT_API_KEY ?? '').split(',').filter((key) => key.trim() !== '');
}
