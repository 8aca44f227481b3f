import { Command, Option } from '@commander-js/extra-typings';
import { type Device, DEVICES } from '../runtime/index.js';
import type { TrainPairsOptions, TrainPairsResult } from '../training/index.js';
import { defined, number, positiveNumber, wholeNumber } from './arguments.js';
import { MODEL_HELP } from './find-model.js';
import { Interrupt, InterruptedError } from './interrupt.js';
import { showSteps } from './progress.js';

/** What is shown of training on pairs. */
export interface PairTrainingDisplay {
  readonly what: PairTraining['what'];
  readonly steps: number;
  readonly out: string;
  /** Whether the result is printed as JSON. */
  readonly json?: boolean;
}

/** What the flags of {@link commandWithPairTraining} read. */
export type PairTrainingFlags = Readonly<{
  data: string;
  model: string;
  out: string;
  validationData?: string;
  validation: number;
  batch: number;
  validStep: number;
  lr: number;
  maxSeqLen: number;
  seed: number;
  device: Device;
  threads?: number;
  resume?: true;
  json?: true;
}>;

/** In what commands that train on pairs differ. */
export interface PairTraining {
  /** What is trained, as sentences name it. */
  readonly what: 'ranker' | 'model';
  /** What `--data` is. */
  readonly data: string;
  /** What flags say where they are not given. */
  readonly defaults: Pick<PairTrainingFlags, 'batch' | 'validStep' | 'lr' | 'maxSeqLen'>;
}

/** A command that trains on pairs, with the flags that all such commands have. */
export function commandWithPairTraining(
  name: string,
  { what, data, defaults }: PairTraining,
): Command<[], PairTrainingFlags> {
  const start = what === 'ranker' ? 'model or ranker' : 'model';
  return new Command(name)
    .requiredOption('--data <path>', data)
    .requiredOption('--model <name>', `start from this ${start}: ${MODEL_HELP}`)
    .requiredOption('--out <folder>', `where the best ${what} goes`)
    .option('--validation-data <file>', 'pairs to validate with')
    .option(
      '--validation <share>',
      'the share of --data to hold out, from its end, where there are no other pairs to validate with',
      number('a number from 0 to below 1', (value) => value >= 0 && value < 1),
      0.05,
    )
    .option('--batch <pairs>', 'pairs in a step', wholeNumber(1), defaults.batch)
    .option('--valid-step <steps>', 'steps between validations', wholeNumber(1), defaults.validStep)
    .option('--lr <rate>', 'the (highest) learning rate', positiveNumber, defaults.lr)
    .option(
      '--max-seq-len <tokens>',
      'the longest sequence; what is before is cut off',
      wholeNumber(2),
      defaults.maxSeqLen,
    )
    .option('--seed <number>', 'where random numbers start', wholeNumber(0), 42)
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .option('--resume', 'go on where the run in --out stood when it was interrupted')
    .option('--json', 'print the result as JSON');
}

/**
 * The pairs to train on and those held out: `others` where there are such, else a share from the end,
 * so that no pair of a context is on both sides of many.
 */
export function holdOut<Pair>(
  all: readonly Pair[],
  share: number,
  others: readonly Pair[] | undefined,
): { readonly train: readonly Pair[]; readonly heldOut: readonly Pair[] } {
  if (others !== undefined) return { train: all, heldOut: others };
  const end = Math.ceil(all.length * (1 - share));
  return { train: all.slice(0, end), heldOut: all.slice(end) };
}

/** What the flags say of the training itself. */
export function pairTrainingOptions(
  flags: PairTrainingFlags & { readonly steps: number },
): TrainPairsOptions {
  return {
    outputDir: flags.out,
    steps: flags.steps,
    batchSize: flags.batch,
    learningRate: flags.lr,
    validStep: flags.validStep,
    seed: flags.seed,
    device: flags.device,
    ...defined({ threads: flags.threads }),
    resume: flags.resume === true,
  };
}

/** By what training is told to stop, and tells how it goes. */
export type PairTrainingReports = Required<
  Pick<TrainPairsOptions, 'signal' | 'onNotice' | 'onStep' | 'onValidation'>
>;

/**
 * Trains on pairs with a progress bar, and prints how it ended.
 *
 * @throws InterruptedError if Ctrl-C ended it.
 */
export async function showPairTraining(
  { what, steps, out, json = false }: PairTrainingDisplay,
  train: (reports: PairTrainingReports) => Promise<TrainPairsResult>,
): Promise<void> {
  const progress = showSteps('training', steps);
  using interrupt = new Interrupt(() => {
    process.stderr.write('\nStopping after this step; press Ctrl-C again to stop at once.\n');
  });
  try {
    const result = await train({
      signal: interrupt.signal,
      onNotice: (sentence) => {
        progress.say(sentence);
      },
      onStep: ({ step, loss, accuracy, pairs, seconds }) => {
        const facts = [
          `loss ${loss.toFixed(4)}`,
          `accuracy ${accuracy.toFixed(3)}`,
          `${Math.round(pairs / seconds)} pairs/s`,
        ];
        progress.update(step, facts.join(' | '));
      },
      onValidation: ({ step, loss, accuracy, best }) => {
        const saved = best ? '; saved' : '';
        progress.say(
          `step ${step}: held-out loss ${loss.toFixed(4)}, pairwise accuracy ${accuracy.toFixed(3)}${saved}`,
        );
      },
    });
    progress.stop();
    const { best, interrupted } = result;
    if (interrupted) {
      const soFar =
        best === undefined ? '' : ` The best ${what} so far, of step ${best.step}, is in ${out}.`;
      throw new InterruptedError(
        `Interrupted after step ${result.steps}; go on with the same command and --resume.${soFar}`,
      );
    }
    if (json) {
      console.log(JSON.stringify({ steps: result.steps, out, best: best ?? null }));
      return;
    }
    const reached =
      best === undefined
        ? ''
        : ` Its pairwise accuracy is ${best.accuracy.toFixed(3)} (step ${best.step}).`;
    console.log(`The ${what} is in ${out}.${reached}`);
  } finally {
    progress.stop();
  }
}
