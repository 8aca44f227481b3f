import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import type { FileHandle } from 'node:fs/promises';
import { type Line, linesOf, readLines, writeFileWhole } from '../base/files.js';
import { loadRanker } from '../checkpoint/index.js';
import { Ensemble, Ranker, rankLines } from '../decoding/index.js';
import { DEVICES, type SessionOptions } from '../runtime/index.js';
import { defined, wholeNumber } from './arguments.js';
import { findRankers } from './generation-flags.js';
import { showProgress } from './progress.js';

const HELP = `
What comes out is a JSON line for each line with a context and responses, as DialogRPT's score.py
writes it: {"line_id":0,"cxt":"…","hyps":[[0.61,"the best"],[0.11,"the other"]]}. With several
rankers, each response has all their scores besides.

Examples:
  dialogpt rank --ranker updown --input responses.tsv > ranked.jsonl
  dialogpt rank --ranker my-ranker --input responses.tsv --out ranked.jsonl
  dialogpt rank --ranker ensemble.yml --input responses.tsv
  dialogpt rank --ranker updown depth=0.48 width=-0.5 human-vs-rand=0.5 --input responses.tsv`;

/** `dialogpt rank`: contexts with responses → the responses with scores, the best first. */
export function rankCommand(): CommandUnknownOpts {
  return new Command('rank')
    .description("score responses with a ranking model (DialogRPT's score.py)")
    .requiredOption(
      '--ranker <name=weight...>',
      'updown, depth, width, human-vs-rand, human-vs-machine, a path, or an ensemble.yml',
    )
    .option('--input <file>', 'context <tab> response <tab> …; - is standard input', '-')
    .option('--out <file>', 'where the JSON lines go, if not to standard output')
    .option(
      '--max-cxt-turn <turns>',
      'the last turns of a context to read; 0 is all',
      wholeNumber(0),
      2,
    )
    .option('--batch-size <responses>', 'responses scored at once', wholeNumber(1), 32)
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .addHelpText('after', HELP)
    .action(async (flags) => {
      const { input, out } = flags;
      const total = input === '-' ? undefined : await countLines(input);
      const session = { device: flags.device, ...defined({ threads: flags.threads }) };
      await using ranker = await openRankers(flags.ranker, session);
      const lines = input === '-' ? linesOf(process.stdin.setEncoding('utf8')) : readLines(input);
      const progress = total === undefined ? undefined : showProgress('rank', total, 'lines');
      const say = (text: string) => {
        if (progress === undefined) process.stderr.write(`${text}\n`);
        else progress.say(text);
      };
      const summary = { lines: 0, average: 0, top: 0 };
      const rankTo = async (write: (line: string) => Promise<void>) => {
        const ranked = rankLines(lines, ranker, {
          batchSize: flags.batchSize,
          maxContextTurns: flags.maxCxtTurn,
          onIgnored: (line) => {
            say(`Line ${line + 1} has no response; it is left out.`);
          },
        });
        for await (const line of ranked) {
          await write(`${JSON.stringify(line)}\n`);
          const scores = line.hyps.map(([score]) => score);
          summary.lines += 1;
          summary.average += scores.reduce((sum, score) => sum + score, 0) / scores.length;
          summary.top += Math.max(...scores);
          progress?.update(line.line_id + 1);
        }
      };
      try {
        if (out === undefined) {
          await rankTo(print);
        } else {
          await writeFileWhole(out, (file: FileHandle) =>
            rankTo(async (line) => {
              await file.appendFile(line);
            }),
          );
        }
      } finally {
        progress?.stop();
      }
      if (summary.lines === 0) return;
      const [average, top] = [summary.average, summary.top].map((total) =>
        (total / summary.lines).toFixed(3),
      );
      process.stderr.write(
        `${summary.lines} lines; scores on average ${average ?? ''}, of the best responses ${top ?? ''}.\n`,
      );
    });
}

/** One ranker by itself, or several as an ensemble. */
async function openRankers(
  names: readonly string[],
  session: SessionOptions,
): Promise<Ranker | Ensemble> {
  const members = [];
  for (const { path, ...member } of await findRankers(names)) {
    members.push({ ...member, ranker: await Ranker.create(await loadRanker(path), session) });
  }
  const [only] = members;
  const isEnsemble = members.length !== 1 || names.some((name) => /\.ya?ml$/.test(name));
  return only === undefined || isEnsemble ? new Ensemble(members) : only.ranker;
}

async function countLines(path: string): Promise<number> {
  let last: Line | undefined;
  for await (const line of readLines(path)) last = line;
  return last?.number ?? 0;
}

/** Prints, waiting for a reader that is slow. */
async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
