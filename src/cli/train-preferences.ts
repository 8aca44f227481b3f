import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { readLines } from '../base/files.js';
import { readJudgedResponses } from '../base/judged-responses.js';
import { type Checkpoint, loadCheckpoint } from '../checkpoint/index.js';
import { requireDevice } from '../runtime/index.js';
import {
  pairsOfJudged,
  type RankingPair,
  readRankingPairs,
  trainPreferences,
} from '../training/index.js';
import { number, positiveNumber, wholeNumber } from './arguments.js';
import { findModel } from './find-model.js';
import {
  commandWithPairTraining,
  holdOut,
  type PairTraining,
  pairTrainingOptions,
  showPairTraining,
} from './pair-training.js';
import { showProgress } from './progress.js';

const TRAINING: PairTraining = {
  what: 'model',
  data: 'context <tab> better <tab> worse, or judged responses',
  defaults: { batch: 64, validStep: 50, lr: 5e-5, maxSeqLen: 128 },
};

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
  return commandWithPairTraining('train-preferences', TRAINING)
    .description('teach a model to prefer better responses (direct preference optimization)')
    .requiredOption('--steps <steps>', 'optimizer steps', wholeNumber(1))
    .option(
      '--beta <weight>',
      'how much what it was before holds the model back',
      positiveNumber,
      0.1,
    )
    .option(
      '--rpo-alpha <weight>',
      "the weight of the better responses' own loss",
      number('a number of at least 0', (value) => value >= 0),
      0.2,
    )
    .option('--pairs-per-context <count>', 'the most pairs of judged responses', wholeNumber(1), 8)
    .addHelpText('after', HELP)
    .action(async (flags) => {
      await requireDevice(flags.device);
      const checkpoint = await loadCheckpoint(await findModel(flags.model));
      const read = (path: string) => readPairs(path, checkpoint, flags);
      const all = await read(flags.data);
      const { validation, validationData } = flags;
      const others = validationData === undefined ? undefined : await read(validationData);
      const { train, heldOut } = holdOut(all, validation, others);
      process.stderr.write(
        `${train.length} pairs to train on, ${heldOut.length} to validate with.\n`,
      );
      const measured = train.length + heldOut.length;
      const before = showProgress('measuring the model as it is', measured, 'pairs');
      try {
        await showPairTraining({ ...flags, what: TRAINING.what }, (reports) =>
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
