import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileErrors } from '../base/errors.js';
import { exists } from '../base/files.js';
import {
  describeModel,
  loadCheckpoint,
  loadRanker,
  type RankerCheckpoint,
} from '../checkpoint/index.js';
import { requireDevice } from '../runtime/index.js';
import {
  type RankingPair,
  rankerFromLanguageModel,
  readRankingPairs,
  trainRanker,
  withGaps,
} from '../training/index.js';
import { number, positiveNumber, UsageError, wholeNumber } from './arguments.js';
import { findModel } from './find-model.js';
import {
  commandWithPairTraining,
  holdOut,
  type PairTraining,
  pairTrainingOptions,
  type PairTrainingFlags,
  showPairTraining,
} from './pair-training.js';

const TRAINING: PairTraining = {
  what: 'ranker',
  data: 'context <tab> better <tab> worse, or a folder with train.tsv',
  defaults: { batch: 256, validStep: 100, lr: 3e-5, maxSeqLen: 50 },
};
const anyNumber = number('a number', () => true);

const HELP = `
The data are lines of context, better and worse response between tabs; or DialogRPT's, whose last
columns are the gap in hours, both scores and both ranks. A folder holds train.tsv and vali.tsv.

Examples:
  dialogpt train-ranker --model medium --data pairs.tsv --out my-ranker --steps 1000
  dialogpt train-ranker --model medium --data data/out/updown --out updown \\
    --min-score-gap 20 --min-rank-gap 0.5
  dialogpt train-ranker --model medium --data pairs.tsv --out my-ranker --steps 1000 --resume
  dialogpt rank --ranker my-ranker --input responses.tsv`;

/** `dialogpt train-ranker`: pairs of responses → a ranking model. */
export function trainRankerCommand(): CommandUnknownOpts {
  return commandWithPairTraining('train-ranker', TRAINING)
    .description("train a model that ranks responses (DialogRPT's main.py train)")
    .option('--steps <steps>', 'optimizer steps', wholeNumber(1), 1_000_000)
    .option('--vali-size <pairs>', 'the most pairs to validate with', wholeNumber(1), 1024)
    .option('--min-score-gap <votes>', 'validate only with scores at least so far apart', anyNumber)
    .option('--min-rank-gap <share>', 'validate only with ranks at least so far apart', anyNumber)
    .option('--max-hr-gap <hours>', 'leave out responses further apart in time', positiveNumber, 1)
    .option('--mismatch', 'the worse response is one to another context (human-vs-rand)')
    .addHelpText('after', HELP)
    .action(async (flags) => {
      await requireDevice(flags.device);
      const checkpoint = await startingPoint(await findModel(flags.model));
      const { train, heldOut } = await readPairs(checkpoint, flags);
      process.stderr.write(
        `${train.length} pairs to train on, ${heldOut.length} to validate with.\n`,
      );
      await showPairTraining({ ...flags, what: TRAINING.what }, (reports) =>
        trainRanker(checkpoint, train, heldOut, { ...pairTrainingOptions(flags), ...reports }),
      );
    });
}

async function startingPoint(path: string): Promise<RankerCheckpoint> {
  const { isRanker } = await describeModel(path);
  return isRanker ? loadRanker(path) : rankerFromLanguageModel(await loadCheckpoint(path));
}

interface DataFlags extends PairTrainingFlags {
  readonly valiSize: number;
  readonly minScoreGap?: number;
  readonly minRankGap?: number;
  readonly maxHrGap: number;
  readonly mismatch?: true;
}

/** The pairs to train on and those to validate with, as DialogRPT's `Feeder` chooses them. */
async function readPairs(
  { tokenizer }: RankerCheckpoint,
  flags: DataFlags,
): Promise<{ readonly train: RankingPair[]; readonly heldOut: RankingPair[] }> {
  const { data } = flags;
  const folder = await withFileErrors(data, async () => (await stat(data)).isDirectory());
  const beside = join(data, 'vali.tsv');
  const validation =
    flags.validationData ?? (folder && (await exists(beside)) ? beside : undefined);
  const read = (path: string) =>
    readRankingPairs(path, {
      tokenizer,
      maxSequenceLength: flags.maxSeqLen,
      maxHoursGap: flags.maxHrGap,
      mismatch: flags.mismatch === true,
    });
  const all = await read(folder ? join(data, 'train.tsv') : data);
  const others = validation === undefined ? undefined : await read(validation);
  const { train, heldOut } = holdOut(all, flags.validation, others);
  const gaps = { score: flags.minScoreGap, rank: flags.minRankGap };
  if (flags.mismatch === true && (gaps.score ?? gaps.rank) !== undefined) {
    throw new UsageError(
      '--mismatch compares no scores; leave out --min-score-gap and --min-rank-gap.',
    );
  }
  const least = flags.mismatch === true ? {} : { score: 1, rank: 0 };
  return {
    train: withGaps(train, least),
    heldOut: withGaps(heldOut, gaps).slice(0, flags.valiSize),
  };
}
