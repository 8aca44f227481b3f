import type { Device } from '../runtime/index.js';
import type { TrainPairsOptions, TrainPairsResult } from '../training/index.js';
import { defined } from './arguments.js';
import { Interrupt, InterruptedError } from './interrupt.js';
import { showSteps } from './progress.js';

/** What is shown of training on pairs. */
export interface PairTrainingDisplay {
  /** What is trained, as sentences name it. */
  readonly what: 'ranker' | 'model';
  readonly steps: number;
  readonly out: string;
  /** Whether the result is printed as JSON. */
  readonly json?: boolean;
}

/** The flags that both commands have. */
export interface PairTrainingFlags {
  readonly out: string;
  readonly steps: number;
  readonly batch: number;
  readonly lr: number;
  readonly validStep: number;
  readonly seed: number;
  readonly device: Device;
  readonly threads?: number;
  readonly resume?: true;
}

/** What the flags say of the training itself. */
export function pairTrainingOptions(flags: PairTrainingFlags): TrainPairsOptions {
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
