import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { stat } from 'node:fs/promises';
import { withFileErrors } from '../base/errors.js';
import { readJudgedResponses } from '../base/judged-responses.js';
import { loadCheckpoint, saveValueHead, VALUE_HEAD } from '../checkpoint/index.js';
import { trainValueHead } from '../decoding/index.js';
import { DEVICES, requireDevice } from '../runtime/index.js';
import { defined, number, positiveNumber, UsageError, wholeNumber } from './arguments.js';
import { findModel, MODEL_HELP } from './find-model.js';
import { showProgress } from './progress.js';

const HELP = `
The data are lines of a context (turns separated by " EOS "), a response, and 1 where it does or 0
where it does not, between tabs: best of the model's own candidates, several to each context. The
model stays as it is; ${VALUE_HEAD} is written into its folder, and --rerank value chooses by it.

Examples:
  dialogpt train-value-head --model my-model --data judged.tsv
  dialogpt generate --model my-model --input contexts.txt --num-candidates 4 --json --out to-judge.jsonl
  dialogpt chat --model my-model --num-candidates 8 --rerank value`;

/** `dialogpt train-value-head`: judged responses → a head by which a model chooses its replies. */
export function trainValueHeadCommand(): CommandUnknownOpts {
  return new Command('train-value-head')
    .description('teach a model to choose among its replies, from judged ones')
    .requiredOption('--data <file>', 'context <tab> response <tab> 1 or 0')
    .requiredOption('--model <name>', `whose replies they are: ${MODEL_HELP}`)
    .option('--out <folder>', "where the head goes (the model's folder)")
    .option('--ridge <weight>', 'how much smaller weights are preferred', positiveNumber, 200)
    .option(
      '--validation <share>',
      'the share of contexts that the report is of; the head learns from them too in the end',
      number('a number above 0 and below 1', (value) => value > 0 && value < 1),
      0.1,
    )
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .option('--json', 'print the report as JSON')
    .addHelpText('after', HELP)
    .action(async (flags) => {
      await requireDevice(flags.device);
      const path = await findModel(flags.model);
      const out = flags.out ?? path;
      if (!(await withFileErrors(out, () => stat(out))).isDirectory()) {
        throw new UsageError(`${out} is no folder; name one with --out.`);
      }
      const judged = await readJudgedResponses(flags.data);
      const checkpoint = await loadCheckpoint(path);
      const progress = showProgress('reading', judged.length, 'responses');
      try {
        const { head, report } = await trainValueHead(checkpoint, judged, {
          ridge: flags.ridge,
          validation: flags.validation,
          device: flags.device,
          ...defined({ threads: flags.threads }),
          onProgress: (read) => {
            progress.update(read);
          },
        });
        progress.stop();
        await saveValueHead(out, head);
        if (flags.json === true) {
          console.log(JSON.stringify({ responses: judged.length, out, heldOut: report }));
          return;
        }
        const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
        console.log(
          [
            `The value head is in ${out}. Of ${report.histories} held-out contexts with ${report.responses} responses, a good one is chosen for`,
            `  ${percent(report.chosen)}; at random it would be ${percent(report.random)}, and ${percent(report.possible)} have one.`,
            `Area under the curve: ${report.areaUnderCurve.toFixed(3)}.`,
          ].join('\n'),
        );
      } finally {
        progress.stop();
      }
    });
}
