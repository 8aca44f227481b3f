import { type CommandUnknownOpts } from '@commander-js/extra-typings';
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { linesOf, readLines } from '../base/files.js';
import { type Rank, readRank } from '../base/rank.js';
import { DEFAULT_MODEL } from '../checkpoint/index.js';
import {
  DEFAULT_BATCH_SIZE,
  type GeneratedResponse,
  generateResponses,
  type LoadOptions,
  loadModel,
  readContexts,
  readModelDefaults,
  ResponseFile,
  responsesAtOnce,
  withDefaults,
} from '../decoding/index.js';
import { defined, UsageError, wholeNumber } from './arguments.js';
import { findModel, MODEL_HELP } from './find-model.js';
import {
  checkFlags,
  commandWithGenerationFlags,
  helpingModels,
  toGenerationOptions,
} from './generation-flags.js';
import { Interrupt, InterruptedError } from './interrupt.js';
import { showProgress } from './progress.js';

/** Where random numbers start, unless said otherwise: a file of responses can be made again. */
const DEFAULT_SEED = 42;

const HELP = `
Contexts are lines of text, turns separated by " EOS " (what follows a tab is ignored), or of chat
JSONL: {"messages":[{"role":"user","content":"Hi!"}]}. Responses come in the order of the contexts,
one a line. With --out, what has been generated survives Ctrl-C, a crash and a power cut: run the
same command again to go on. Under mpirun or srun, each process generates its share.

Examples:
  dialogpt generate --model small --input contexts.txt --out responses.txt
  dialogpt generate --model small --input test.tsv --out responses.jsonl --json --num-beams 5
  echo "Does money buy happiness?" | dialogpt generate --model small
  mpirun -n 4 dialogpt generate --model small --input contexts.txt --out responses.txt`;

/** `dialogpt generate`: many contexts → responses. */
export function generateCommand(): CommandUnknownOpts {
  return commandWithGenerationFlags('generate')
    .description('respond to many conversations, in batches')
    .option('--model <name>', `the model: ${MODEL_HELP}`, DEFAULT_MODEL)
    .option('--input <file>', 'the contexts, one a line; - is standard input', '-')
    .option('--out <file>', 'where the responses go, if not to standard output')
    .option('--json', 'JSON lines, with all candidates and their scores')
    .option('--overwrite', 'start anew, whatever is there')
    .option(
      '--batch-size <rows>',
      'rows generated side by side; beams and candidates take one each',
      wholeNumber(1),
      DEFAULT_BATCH_SIZE,
    )
    .addHelpText('after', HELP)
    .action(async (flags) => {
      const { input, out, batchSize, device, threads } = flags;
      const generation = await toGenerationOptions(flags);
      const options = {
        ...generation,
        ...(flags.greedy ? {} : { seed: flags.seed ?? DEFAULT_SEED }),
      };
      const rank = readRank();
      if (rank.size > 1 && (out === undefined || input === '-')) {
        throw new UsageError('Several processes need --input FILE and --out FILE.');
      }
      const contexts = await contextsOf(input);
      const [from, to] = shareOfLines(contexts.length, rank);
      const path = await findModel(flags.model);
      const own = await readModelDefaults(path);
      checkFlags(generation, own.options);
      const helpers = await helpingModels(flags, path);
      const settings = {
        model: `${path} ${await fingerprint(path)}`,
        'other models': JSON.stringify(helpers),
        input: createHash('sha256').update(JSON.stringify(contexts)).digest('hex'),
        options: JSON.stringify(options),
        dtype: flags.dtype ?? 'fp32',
        json: String(flags.json === true),
        processes: String(rank.size),
      };
      await using file =
        out === undefined
          ? undefined
          : await ResponseFile.open(out, { settings, overwrite: flags.overwrite === true, rank });
      const first = from + (file?.lines ?? 0);
      if (first > from) process.stderr.write(`Going on after ${first - from} responses.\n`);

      if (first < to) {
        using interrupt = new Interrupt(() => {
          process.stderr.write('\nStopping; press Ctrl-C again to stop at once.\n');
        });
        await respond(contexts.slice(first, to), {
          path,
          load: {
            device,
            // Eight-bit activations depend on what is computed beside them.
            exact: flags.dtype !== 'int8',
            slots: responsesAtOnce(withDefaults(own.options, options), batchSize),
            ...defined({ threads, dtype: flags.dtype }),
            ...helpers,
          },
          options: { ...options, batchSize, firstContext: first, signal: interrupt.signal },
          json: flags.json === true,
          write: async (line) => {
            if (file === undefined) await print(line);
            else await file.append(line);
          },
        });
        if (interrupt.signal.aborted) {
          const rest =
            file === undefined
              ? ''
              : ` ${file.lines} of ${to - from} responses are kept; run the same command again to go on.`;
          throw new InterruptedError(`Interrupted.${rest}`);
        }
      }
      if (file === undefined) return;
      if (await file.finish()) process.stderr.write(`The responses are in ${file.path}.\n`);
    });
}

/** What {@link respond} needs besides the contexts. */
interface Work {
  readonly path: string;
  readonly load: LoadOptions;
  readonly options: Parameters<typeof generateResponses>[2];
  readonly json: boolean;
  readonly write: (line: string) => Promise<void>;
}

/** Generates and writes responses, with their progress on standard error. */
async function respond(
  contexts: readonly (readonly string[])[],
  { path, load, options, json, write }: Work,
): Promise<void> {
  await using model = await loadModel(path, load);
  const progress = showProgress('generate', contexts.length, 'responses');
  const started = performance.now();
  let done = 0;
  let tokens = 0;
  try {
    for await (const response of generateResponses(model, contexts, options)) {
      for (const { message } of response.interventions) {
        progress.say(`context ${response.index + 1}: ${message}`);
      }
      await write(json ? toJson(response) : toLine(response.response));
      done += 1;
      tokens += response.summary.generatedTokens;
      const seconds = (performance.now() - started) / 1000;
      progress.update(done, `${Math.round(tokens / seconds)} tokens/s`);
    }
  } finally {
    progress.stop();
  }
}

/** A response as a line of its own. */
function toLine(response: string): string {
  return response.replace(/\s+/g, ' ').trim();
}

function toJson(response: GeneratedResponse): string {
  const { index, context, candidates, interventions, summary } = response;
  return JSON.stringify({
    line: index + 1,
    context,
    response: response.response,
    finish: summary.finish,
    prompt_tokens: summary.promptTokens,
    completion_tokens: summary.completionTokens,
    candidates,
    ...(interventions.length === 0 ? {} : { interventions }),
  });
}

async function contextsOf(input: string): Promise<readonly (readonly string[])[]> {
  if (input !== '-') return readContexts(readLines(input), input);
  return readContexts(linesOf(process.stdin.setEncoding('utf8')), 'standard input');
}

/** The part of so many lines that falls to one process: one stretch, as long as the others'. */
function shareOfLines(lines: number, { rank, size }: Rank): readonly [from: number, to: number] {
  return [Math.floor((lines * rank) / size), Math.floor((lines * (rank + 1)) / size)];
}

/** What changes when a model's files do: their names, sizes and times. */
async function fingerprint(path: string): Promise<string> {
  const names = (await stat(path)).isDirectory() ? (await readdir(path)).sort() : [''];
  const hash = createHash('sha256');
  for (const name of names) {
    const { size, mtimeMs } = await stat(join(path, name));
    hash.update(`${name} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

/** Prints a line, waiting for a reader that is slow. */
async function print(line: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
