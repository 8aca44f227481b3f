import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { readLines } from '../base/files.js';
import { readJudgedResponses } from '../base/judged-responses.js';
import { type Checkpoint, loadCheckpoint } from '../checkpoint/index.js';
import { DEVICES, requireDevice } from '../runtime/index.js';
import {
  pairsOfJudged,
  type RankingPair,
  readRankingPairs,
  trainPreferences,
} from '../training/index.js';
import { number, wholeNumber } from './arguments.js';
import { findModel, MODEL_HELP } from './find-model.js';
import { pairTrainingOptions, showPairTraining } from './pair-training.js';
import { showProgress } from './progress.js';

const positive = number('a number above 0', (value) => value > 0);

const HELP = `
The data are lines of context (turns separated by " EOS "), better and worse response between tabs;
or of context, response, and 1 where it does or 0 where it does not, of which pairs are made. Best are
the model's own responses: generate --num-candidates, judge, train, and again.

Examples:
  dialogpt train-preferences --model my-model --data pairs.tsv --out better-model --steps 300
  dialogpt train-preferences --model small-talk --data judged.tsv --out better --steps 500 --beta 0.2
  dialogpt train-preferences --model my-model --data pairs.tsv --out better-model --steps 300 --resume`;

/** `dialogpt train-preferences`: preferred and other responses → a model that prefers them. */
export function trainPreferencesCommand(): CommandUnknownOpts {
  return new Command('train-preferences')
    .description('teach a model to prefer better responses (direct preference optimization)')
    .requiredOption('--data <file>', 'context <tab> better <tab> worse, or judged responses')
    .requiredOption('--model <name>', `start from this model: ${MODEL_HELP}`)
    .requiredOption('--out <folder>', 'where the best model goes')
    .requiredOption('--steps <steps>', 'optimizer steps', wholeNumber(1))
    .option('--validation-data <file>', 'pairs to validate with')
    .option(
      '--validation <share>',
      'the share of --data to hold out, from its end, without --validation-data',
      number('a number from 0 to below 1', (value) => value >= 0 && value < 1),
      0.05,
    )
    .option('--batch <pairs>', 'pairs in a step', wholeNumber(1), 64)
    .option('--valid-step <steps>', 'steps between validations', wholeNumber(1), 50)
    .option('--lr <rate>', 'the highest learning rate', positive, 5e-5)
    .option('--beta <weight>', 'how much what it was before holds the model back', positive, 0.1)
    .option(
      '--rpo-alpha <weight>',
      "the weight of the better responses' own loss",
      number('a number of at least 0', (value) => value >= 0),
      0.2,
    )
    .option('--pairs-per-context <count>', 'the most pairs of judged responses', wholeNumber(1), 8)
    .option(
      '--max-seq-len <tokens>',
      'the longest sequence; what is before is cut off',
      wholeNumber(2),
      128,
    )
    .option('--seed <number>', 'where random numbers start', wholeNumber(0), 42)
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .option('--resume', 'go on where the run in --out stood when it was interrupted')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', HELP)
    .action(async (flags) => {
      await requireDevice(flags.device);
      const checkpoint = await loadCheckpoint(await findModel(flags.model));
      const read = (path: string) => readPairs(path, checkpoint, flags);
      const all = await read(flags.data);
      const { validationData } = flags;
      const end =
        validationData === undefined ? Math.ceil(all.length * (1 - flags.validation)) : all.length;
      const train = all.slice(0, end);
      const heldOut = validationData === undefined ? all.slice(end) : await read(validationData);
      process.stderr.write(
        `${train.length} pairs to train on, ${heldOut.length} to validate with.\n`,
      );
      const measured = train.length + heldOut.length;
      const before = showProgress('measuring the model as it is', measured, 'pairs');
      try {
        await showPairTraining({ ...flags, what: 'model' }, (reports) =>
          trainPreferences(checkpoint, train, heldOut, {
            onReference: (pairs) => {
              before.update(pairs);
              if (pairs === measured) before.stop();
            },
            ...pairTrainingOptions(flags),
            beta: flags.beta,
            rpoAlpha: flags.rpoAlpha,
            ...reports,
          }),
        );
      } finally {
        // Where it was interrupted meanwhile, the terminal gets its cursor back.
        before.stop();
      }
    });
}

/** Pairs of a file, or of the judged responses in it. */
async function readPairs(
  path: string,
  { tokenizer, parameters }: Checkpoint,
  flags: { readonly maxSeqLen: number; readonly pairsPerContext: number; readonly seed: number },
): Promise<RankingPair[]> {
  const maxSequenceLength = Math.min(flags.maxSeqLen, parameters.config.n_positions);
  if (!(await holdsJudged(path))) return readRankingPairs(path, { tokenizer, maxSequenceLength });
  const { pairsPerContext, seed } = flags;
  const judged = await readJudgedResponses(path);
  return pairsOfJudged(judged, { tokenizer, maxSequenceLength, pairsPerContext, seed });
}

/** Whether the first line that says something ends in a verdict. */
async function holdsJudged(path: string): Promise<boolean> {
  for await (const { text } of readLines(path)) {
    if (text.startsWith('#') || text.trim() === '') continue;
    return /^[^\t]*\t[^\t]*\t[01]\s*$/.test(text);
  }
  return false;
}
