import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError, withFileErrors } from '../base/errors.js';
import { exists } from '../base/files.js';
import {
  type Checkpoint,
  freshCheckpoint,
  loadCheckpoint,
  loadCheckpointTokenizer,
} from '../checkpoint/index.js';
import { buildDataset, Dataset, trainTokenizer } from '../dataset/index.js';
import { type Gpt2Options, PUBLISHED_SIZES } from '../model/index.js';
import { DEVICES, requireDevice } from '../runtime/index.js';
import { gpt2Tokenizer, type Tokenizer } from '../tokenizer/index.js';
import { SCHEDULES, train } from '../training/index.js';
import { defined, number, truth, UsageError, wholeNumber } from './arguments.js';
import { describeDataset } from './data-build.js';
import { findModel, MODEL_HELP } from './find-model.js';
import { Interrupt, InterruptedError } from './interrupt.js';
import { TrainingDisplay } from './training-display.js';

const positive = number('a number above 0', (value) => value > 0);
const share = number('a number from 0 to 1', (value) => value >= 0 && value <= 1);

/** `dialogpt train`: conversations → a model. */
export function trainCommand(): CommandUnknownOpts {
  return new Command('train')
    .description('train a model on a dataset or on conversations as TSV')
    .requiredOption('--data <path>', 'a dataset (`dialogpt data build`) or a TSV of conversations')
    .requiredOption('--out <folder>', 'where the model and its logs go')
    .optionsGroup('The model:')
    .option('--model <name>', `start from this model: ${MODEL_HELP}`)
    .addOption(
      new Option('--size <name>', 'a published size, with fresh weights').choices([
        'small',
        'medium',
        'large',
      ]),
    )
    .option('--n-layer <count>', 'layers of a fresh model', wholeNumber(1))
    .option('--n-embd <width>', 'width of a fresh model', wholeNumber(1))
    .option('--n-head <count>', 'attention heads of a fresh model', wholeNumber(1))
    .option('--n-positions <tokens>', 'the longest sequence of a fresh model', wholeNumber(2))
    .option('--initializer-range <deviation>', 'spread of fresh weights (0.02)', positive)
    .option('--dropout <ratio>', 'dropout of a fresh model; GPT-2 has 0.1', share)
    .option(
      '--vocab-size <tokens>',
      'learn a vocabulary of this size from the TSV',
      wholeNumber(257),
    )
    .optionsGroup('The data:')
    .option('--max-seq-length <tokens>', 'the longest example made of a TSV', wholeNumber(2), 128)
    .option('--validation <share>', 'the share of a TSV to hold out', share, 0.05)
    .optionsGroup('The training:')
    .option('--num-optim-steps <steps>', 'optimizer steps', wholeNumber(1), 1_000_000)
    .option('--train-batch-size <examples>', 'examples in a batch', wholeNumber(1), 4)
    .option('--gradient-accumulation-steps <batches>', 'batches in a step', wholeNumber(1), 2)
    .option('--eval-batch-size <examples>', 'examples in a batch of validation', wholeNumber(1), 4)
    .option('--learning-rate <rate>', 'the highest learning rate', positive, 1e-5)
    .addOption(
      new Option('--lr-schedule <name>', 'how it changes')
        .choices(SCHEDULES)
        .default('noam' as const),
    )
    .option('--warmup-steps <steps>', 'rising part of noam and noamwd', wholeNumber(1), 16_000)
    .option('--warmup-proportion <share>', 'rising part of BERT and cosine', share, 0.1)
    .option('--adam-beta1 <share>', 'how much of the mean gradient is kept', share, 0.9)
    .option('--adam-beta2 <share>', 'how much of the mean squared gradient is kept', share, 0.999)
    .option('--adam-epsilon <number>', 'added to the root of the mean square', positive, 1e-8)
    .option('--weight-decay <rate>', 'of all but biases and layer norms', share, 0.01)
    .option('--max-grad-norm <norm>', 'longer gradients are scaled down to it', positive, 1)
    .option('--valid-step <steps>', 'steps between validations', wholeNumber(1), 10_000)
    .option('--no-token-id <truth>', 'leave out token-type ids (the numbers of turns)', truth, true)
    .option('--seed <number>', 'where random numbers start', wholeNumber(0), 42)
    .option('--log-dir <folder>', 'where the logs go, if not to --out')
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .option('--recompute', 'less memory: compute each layer once more on the way back', false)
    .addHelpText(
      'after',
      '\nExample:\n  dialogpt train --data chats.tsv --out my-model --vocab-size 1024 --n-layer 4 --n-embd 128 \\\n    --n-head 4 --n-positions 128 --num-optim-steps 1000 --learning-rate 1e-3 --lr-schedule cosine',
    )
    .action(async (flags) => {
      const { data, out } = flags;
      await requireDevice(flags.device);
      const folder = await isFolder(data);
      const checkpoint = await startingPoint(flags, folder);
      const dataset = folder ? data : join(out, 'dataset');
      if (!folder) await buildFromTsv(data, dataset, checkpoint.tokenizer, flags);
      const trainSplit = await Dataset.open(dataset, 'train');
      const heldOut = await Dataset.open(dataset, 'validation');

      const display = new TrainingDisplay(flags.numOptimSteps);
      using interrupt = new Interrupt(() => {
        process.stderr.write('\nStopping after this step; press Ctrl-C again to stop at once.\n');
      });
      try {
        const result = await train(checkpoint, trainSplit, heldOut, {
          ...defined({ logDir: flags.logDir, threads: flags.threads }),
          outputDir: out,
          numOptimSteps: flags.numOptimSteps,
          trainBatchSize: flags.trainBatchSize,
          gradientAccumulationSteps: flags.gradientAccumulationSteps,
          evalBatchSize: flags.evalBatchSize,
          learningRate: flags.learningRate,
          lrSchedule: flags.lrSchedule,
          warmupSteps: flags.warmupSteps,
          warmupProportion: flags.warmupProportion,
          adam: {
            beta1: flags.adamBeta1,
            beta2: flags.adamBeta2,
            epsilon: flags.adamEpsilon,
            weightDecay: flags.weightDecay,
            maxGradientNorm: flags.maxGradNorm,
          },
          validStep: flags.validStep,
          // The flag is the original's `no_token_id`; the parser takes its `no` for a prefix.
          noTokenId: flags.tokenId,
          seed: flags.seed,
          device: flags.device,
          recompute: flags.recompute,
          signal: interrupt.signal,
          onStep: (report) => {
            display.step(report);
          },
          onValidation: (report) => {
            display.validation(report);
          },
        });
        display.stop();
        if (result.interrupted) {
          throw new InterruptedError(
            `Interrupted after step ${result.steps}; the model so far is in ${out}.`,
          );
        }
        console.log(`The model is in ${out}. Talk to it:\n  npx dialogpt chat --model ${out}`);
      } finally {
        display.stop();
      }
    });
}

interface ModelFlags {
  readonly data: string;
  readonly model?: string;
  readonly size?: keyof typeof PUBLISHED_SIZES;
  readonly nLayer?: number;
  readonly nEmbd?: number;
  readonly nHead?: number;
  readonly nPositions?: number;
  readonly initializerRange?: number;
  readonly dropout?: number;
  readonly vocabSize?: number;
  readonly seed: number;
}

async function startingPoint(flags: ModelFlags, dataIsFolder: boolean): Promise<Checkpoint> {
  const { model, size, vocabSize, dropout } = flags;
  const shape: Gpt2Options = {
    ...(size === undefined ? {} : PUBLISHED_SIZES[size]),
    ...defined({
      n_layer: flags.nLayer,
      n_embd: flags.nEmbd,
      n_head: flags.nHead,
      n_positions: flags.nPositions,
      initializer_range: flags.initializerRange,
      embd_pdrop: dropout,
      attn_pdrop: dropout,
      resid_pdrop: dropout,
    }),
  };
  const fresh = Object.keys(shape).length > 0;
  if (model !== undefined) {
    if (fresh || vocabSize !== undefined) {
      throw new UsageError(
        '--model starts from a trained model; leave out the flags of a fresh one.',
      );
    }
    return loadCheckpoint(await findModel(model));
  }
  if (!fresh) {
    throw new UsageError(
      'Say what to train: --model FOLDER, --size small, or --n-layer, --n-embd and --n-head.',
    );
  }
  if (vocabSize !== undefined && dataIsFolder) {
    throw new UsageError(
      '--vocab-size learns a vocabulary from a TSV, but --data is a dataset, whose tokens are fixed.',
    );
  }
  const tokenizer =
    vocabSize !== undefined
      ? await trainTokenizer(flags.data, vocabSize)
      : dataIsFolder
        ? await loadCheckpointTokenizer(flags.data)
        : gpt2Tokenizer();
  return freshCheckpoint(tokenizer, shape, flags.seed);
}

async function isFolder(path: string): Promise<boolean> {
  return (await withFileErrors(path, () => stat(path))).isDirectory();
}

async function buildFromTsv(
  corpus: string,
  out: string,
  tokenizer: Tokenizer,
  flags: { readonly maxSeqLength: number; readonly validation: number },
): Promise<void> {
  if (await exists(out)) {
    throw new UserError(`${out}: it exists already; remove it, or train on it with --data ${out}.`);
  }
  const description = await buildDataset(corpus, out, tokenizer, {
    maxSequenceLength: flags.maxSeqLength,
    validation: flags.validation,
  });
  console.log(describeDataset(out, description));
}
