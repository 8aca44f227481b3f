import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { once } from 'node:events';
import { UserError } from '../base/errors.js';
import {
  createJudgeServer,
  formatTally,
  JudgingSession,
  pairTexts,
  readTexts,
  tallyFile,
} from '../evaluation/index.js';
import { wholeNumber } from './arguments.js';
import { Interrupt } from './interrupt.js';

/** `dialogpt eval judge`: people compare two systems; `--tally` counts what they said. */
export function evalJudgeCommand(): CommandUnknownOpts {
  return new Command('judge')
    .description('let people compare two systems on a local page, or count their judgements')
    .argument('[systems...]', 'two files with a response a line')
    .option('--contexts <file>', 'the conversations, a line each, turns separated by " EOS "')
    .option('--out <file>', 'where the judgements are written, one JSON object a line')
    .addOption(
      new Option('--port <number>', 'the port of the page').argParser(wholeNumber(0)).default(8123),
    )
    .addOption(
      new Option('--seed <number>', 'what orders and sides are drawn from')
        .argParser(wholeNumber(0))
        .default(1),
    )
    .option('--tally <file>', "count the judgements in a file (ours, or DSTC-7's ratings) and stop")
    .option('--systems <names...>', 'with --tally: only pairs of these systems')
    .option('--json', 'with --tally: print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  dialogpt eval judge a.txt b.txt --contexts contexts.txt --out judgements.jsonl\n  dialogpt eval judge --tally judgements.jsonl',
    )
    .action(async (systems, options) => {
      if (options.tally !== undefined) {
        const result = await tallyFile(options.tally, options.systems);
        process.stdout.write(
          options.json === true ? `${JSON.stringify(result, undefined, 2)}\n` : formatTally(result),
        );
        return;
      }
      const [first, second, ...more] = systems;
      if (first === undefined || second === undefined || more.length > 0) {
        throw new UserError(`There are ${systems.length} systems; name two files of responses.`);
      }
      if (options.contexts === undefined || options.out === undefined) {
        throw new UserError(
          'Name the conversations with --contexts and the file of judgements with --out.',
        );
      }
      const contexts = await readTexts(options.contexts);
      const responses = await Promise.all([first, second].map((path) => readTexts(path)));
      const [ofFirst = [], ofSecond = []] = responses;
      pairTexts({ path: options.contexts, texts: contexts }, [
        { path: first, texts: ofFirst },
        { path: second, texts: ofSecond },
      ]);
      const session = await JudgingSession.open(
        options.out,
        {
          contexts,
          first: { system: first, responses: ofFirst },
          second: { system: second, responses: ofSecond },
        },
        options.seed,
      );
      const server = createJudgeServer(session, contexts.length);
      server.listen(options.port, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : options.port;
      process.stdout.write(`Judges open http://localhost:${port}/ ; Ctrl-C ends.\n`);
      new Interrupt(() => {
        server.close();
        server.closeAllConnections();
      });
      await once(server, 'close');
      await session.close();
    });
}
