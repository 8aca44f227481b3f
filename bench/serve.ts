import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { at, range } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';
import { saveCheckpoint } from '../src/checkpoint/index.js';
import { gpt2Config, Parameters } from '../src/model/index.js';
import { gpt2Tokenizer } from '../src/tokenizer/index.js';
import { type Benchmark, formatTable, quantile, temporaryFolder } from './benchmark.js';
import { type StartedServer, startServer } from './server.js';

/** The tokens of each answer under load, all of which are generated. */
const ANSWER = 32;

const TINY = { n_embd: 32, n_layer: 1, n_head: 2, n_positions: 128 };

const optionsSchema = z.object({
  seconds: z.coerce.number(),
  streams: z.coerce.number(),
  slots: z.coerce.number(),
  requests: z.coerce.number(),
});

const usageSchema = z.object({ usage: z.object({ completion_tokens: z.number() }).nullish() });

/** `dialogpt serve` under load: speed of many streams against one, waiting times and memory. */
export const serveBenchmark: Benchmark = {
  description:
    'dialogpt serve: many streams against one, time to the first token, memory (--seconds 60, --streams 64, --slots 32, --requests 10000)',
  run: async (print) => {
    const { values } = parseArgs({
      strict: false,
      options: {
        seconds: { type: 'string', default: '60' },
        streams: { type: 'string', default: '64' },
        requests: { type: 'string', default: '10000' },
        slots: { type: 'string', default: '32' },
      },
    });
    const { seconds, streams, slots, requests } = optionsSchema.parse(values);
    process.once('SIGTERM', () => process.exit(143));
    await using temporary = await temporaryFolder();
    const folder = temporary.path;
    const speed = await measureSpeed(folder, { seconds, streams, slots }, print);
    const memory = await measureMemory(folder, requests, print);
    return { benchmark: 'serve', ...speed, ...memory };
  },
};

/** Many streams against one, over GPT-2 small with weights that know nothing. */
async function measureSpeed(
  folder: string,
  { seconds, streams, slots }: Omit<z.infer<typeof optionsSchema>, 'requests'>,
  print: (line: string) => void,
): Promise<Record<string, number>> {
  if (seconds <= 0) return {};
  const model = await saveModel(join(folder, 'small'), {});
  await using server = await start(model, slots);
  await answer(server.url, 0);
  const one = await load(server.url, 1, Math.max(5, seconds / 4));
  const many = await load(server.url, streams, seconds);
  const lag = await metric(server.url, 'nodejs_eventloop_lag_p99_seconds');
  const ratio = many.speed / one.speed;
  const row = (name: string, { speed, answers, waits, errors }: Load) => [
    name,
    speed.toFixed(1),
    String(answers),
    (1000 * quantile(waits, 0.5)).toFixed(0),
    (1000 * quantile(waits, 0.99)).toFixed(0),
    String(errors),
  ];
  print(
    formatTable([
      ['streams', 'tokens/s', 'answers', 'first token p50 ms', 'p99 ms', 'errors'],
      row('1', one),
      row(String(streams), many),
    ]),
  );
  print(
    `${streams} streams give ${ratio.toFixed(2)} × the tokens/s of one; the event loop's lag is ${(1000 * lag).toFixed(1)} ms at p99`,
  );
  return {
    oneTokensPerSecond: rounded(one.speed),
    tokensPerSecond: rounded(many.speed),
    ratio: rounded(ratio),
    firstTokenP99Ms: rounded(1000 * quantile(many.waits, 0.99)),
    eventLoopLagP99Ms: rounded(1000 * lag),
    errors: one.errors + many.errors,
  };
}

/** The server's memory over many short requests to a tiny model. */
async function measureMemory(
  folder: string,
  requests: number,
  print: (line: string) => void,
): Promise<Record<string, number>> {
  if (requests <= 0) return {};
  const model = await saveModel(join(folder, 'tiny'), TINY);
  await using server = await start(model, 8);
  const sizes: number[] = [];
  let errors = 0;
  for (const part of range(0, 10)) {
    let left = requests / 10;
    const worker = async () => {
      while (left-- > 0) {
        const { tokens } = await answer(server.url, part, 4, false);
        if (tokens === undefined) errors += 1;
      }
    };
    await Promise.all(range(0, 16).map(worker));
    sizes.push(await metric(server.url, 'process_resident_memory_bytes'));
  }
  const megabytes = sizes.map((size) => Math.round(size / 1e6));
  // What the first requests make the program reserve is no leak.
  const growth = at(sizes, 9) / at(sizes, 2);
  print(
    `memory over ${requests} requests, in MB at each tenth: ${megabytes.join(' ')}; the last is ${growth.toFixed(2)} × the third; ${errors} errors`,
  );
  return { requests, requestErrors: errors, memoryMb: at(megabytes, 9), growth: rounded(growth) };
}

/** What came of some load. */
interface Load {
  /** Tokens a second, all streams together. */
  readonly speed: number;
  readonly answers: number;
  /** Seconds to the first token of each answer. */
  readonly waits: readonly number[];
  readonly errors: number;
}

/** Keeps so many streams busy for so many seconds. */
async function load(url: string, streams: number, seconds: number): Promise<Load> {
  const started = performance.now();
  const end = started + seconds * 1000;
  const waits: number[] = [];
  let tokens = 0;
  let errors = 0;
  const worker = async (stream: number) => {
    for (let turn = 0; performance.now() < end; turn++) {
      const got = await answer(url, stream * 1000 + turn);
      if (got.tokens === undefined) errors += 1;
      else {
        tokens += got.tokens;
        waits.push(got.wait);
      }
    }
  };
  await Promise.all(range(0, streams).map(worker));
  const speed = tokens / ((performance.now() - started) / 1000);
  return { speed, answers: waits.length, waits, errors };
}

/** Asks for an answer; without `tokens` it failed. */
async function answer(
  url: string,
  seed: number,
  length = ANSWER,
  stream = true,
): Promise<{ readonly tokens?: number; readonly wait: number }> {
  const asked = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'bench',
      messages: [{ role: 'user', content: `Tell me about the number ${seed}, will you?` }],
      max_tokens: length,
      min_tokens: length,
      seed,
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    }),
  });
  let wait = 0;
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    if (wait === 0) wait = (performance.now() - asked) / 1000;
    text += decoder.decode(z.instanceof(Uint8Array).parse(piece), { stream: true });
  }
  const messages = text.split('\n\n').map((line) => line.replace(/^data: /, ''));
  const last = stream ? messages.at(-3) : messages[0];
  if (!response.ok || last === undefined || (stream && messages.at(-2) !== '[DONE]')) {
    return { wait };
  }
  const { usage } = usageSchema.parse(JSON.parse(last));
  return usage?.completion_tokens === length ? { tokens: length, wait } : { wait };
}

async function saveModel(
  path: string,
  options: Readonly<Partial<Record<keyof typeof TINY, number>>>,
): Promise<string> {
  const parameters = Parameters.initialize(gpt2Config(options), new Random(1));
  await saveCheckpoint(path, { parameters, tokenizer: gpt2Tokenizer() });
  return path;
}

/** Starts the server for clients that wait as long as it takes. */
async function start(model: string, slots: number): Promise<StartedServer> {
  const flags = ['--model-name', 'bench', '--slots', String(slots), '--max-queue', '256'];
  return startServer(['--model', model, ...flags, '--request-timeout', '3600']);
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

function rounded(value: number): number {
  return Number(value.toFixed(2));
}
