import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
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
import { DEVICES, requireDevice } from '../runtime/index.js';
import {
  type RankingPair,
  rankerFromLanguageModel,
  readRankingPairs,
  trainRanker,
  withGaps,
} from '../training/index.js';
import { number, UsageError, wholeNumber } from './arguments.js';
import { findModel, MODEL_HELP } from './find-model.js';
import { pairTrainingOptions, showPairTraining } from './pair-training.js';

const positive = number('a number above 0', (value) => value > 0);
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
  return new Command('train-ranker')
    .description("train a model that ranks responses (DialogRPT's main.py train)")
    .requiredOption('--data <path>', 'context <tab> better <tab> worse, or a folder with train.tsv')
    .requiredOption('--model <name>', `start from this model or ranker: ${MODEL_HELP}`)
    .requiredOption('--out <folder>', 'where the best ranker goes')
    .option('--validation-data <file>', 'pairs to validate with')
    .option(
      '--validation <share>',
      'the share of --data to hold out, where there are no other pairs to validate with',
      number('a number from 0 to below 1', (value) => value >= 0 && value < 1),
      0.05,
    )
    .option('--steps <steps>', 'optimizer steps', wholeNumber(1), 1_000_000)
    .option('--batch <pairs>', 'pairs in a step', wholeNumber(1), 256)
    .option('--vali-size <pairs>', 'the most pairs to validate with', wholeNumber(1), 1024)
    .option('--valid-step <steps>', 'steps between validations', wholeNumber(1), 100)
    .option('--lr <rate>', 'the learning rate', positive, 3e-5)
    .option(
      '--max-seq-len <tokens>',
      'the longest sequence; what is before is cut off',
      wholeNumber(2),
      50,
    )
    .option('--min-score-gap <votes>', 'validate only with scores at least so far apart', anyNumber)
    .option('--min-rank-gap <share>', 'validate only with ranks at least so far apart', anyNumber)
    .option('--max-hr-gap <hours>', 'leave out responses further apart in time', positive, 1)
    .option('--mismatch', 'the worse response is one to another context (human-vs-rand)')
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
      const checkpoint = await startingPoint(await findModel(flags.model));
      const { train, heldOut } = await readPairs(checkpoint, flags);
      process.stderr.write(
        `${train.length} pairs to train on, ${heldOut.length} to validate with.\n`,
      );
      await showPairTraining({ ...flags, what: 'ranker' }, (reports) =>
        trainRanker(checkpoint, train, heldOut, { ...pairTrainingOptions(flags), ...reports }),
      );
    });
}

async function startingPoint(path: string): Promise<RankerCheckpoint> {
  const { isRanker } = await describeModel(path);
  return isRanker ? loadRanker(path) : rankerFromLanguageModel(await loadCheckpoint(path));
}

interface DataFlags {
  readonly data: string;
  readonly validationData?: string;
  readonly validation: number;
  readonly valiSize: number;
  readonly maxSeqLen: number;
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
  // What is held out comes from the end, so that no pair of a context is on both sides of many.
  const end =
    validation === undefined ? Math.ceil(all.length * (1 - flags.validation)) : all.length;
  const others = validation === undefined ? all.slice(end) : await read(validation);
  const gaps = { score: flags.minScoreGap, rank: flags.minRankGap };
  if (flags.mismatch === true && (gaps.score ?? gaps.rank) !== undefined) {
    throw new UsageError(
      '--mismatch compares no scores; leave out --min-score-gap and --min-rank-gap.',
    );
  }
  const least = flags.mismatch === true ? {} : { score: 1, rank: 0 };
  return {
    train: withGaps(all.slice(0, end), least),
    heldOut: withGaps(others, gaps).slice(0, flags.valiSize),
  };
}
