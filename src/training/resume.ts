import { UserError } from '../base/errors.js';
import type { ExactSettings } from './options.js';

/** Settings that a run cannot change: its place in the data and its masks are counted by them. */
const FIXED = {
  data: 'the training data',
  seed: '--seed',
  trainBatchSize: '--train-batch-size',
  gradientAccumulationSteps: '--gradient-accumulation-steps times the number of processes',
  noTokenId: '--no-token-id',
} as const satisfies Partial<Record<keyof ExactSettings, string>>;

/** Settings that may change, but then what follows is not what it would have been. */
const CHANGEABLE = {
  learningRate: '--learning-rate',
  lrSchedule: '--lr-schedule',
  warmupSteps: '--warmup-steps',
  warmupProportion: '--warmup-proportion',
  adam: "the optimizer's configuration",
  device: '--device',
  fp16: '--fp16',
  lossScale: '--loss-scale',
  threads: '--threads',
} as const satisfies Partial<Record<keyof ExactSettings, string>>;

/**
 * Compares the settings of a run with those that it is to go on with.
 *
 * @returns a sentence for each difference that makes it another run from here on.
 * @throws UserError for one with which it cannot go on.
 */
export function compareSettings(before: ExactSettings, now: ExactSettings): string[] {
  const changed = (key: keyof ExactSettings) =>
    before[key] === now[key] ? [] : [`${String(before[key])} to ${String(now[key])}`];
  for (const [key, name] of entries(FIXED)) {
    for (const change of changed(key)) {
      throw new UserError(
        `${name} cannot change within a run (${change}); leave it as it was, or start a new run from these weights with --model.`,
      );
    }
  }
  const notices = entries(CHANGEABLE).flatMap(([key, name]) =>
    changed(key).map((change) => `${name} changes from ${change}`),
  );
  const stretched = now.lrSchedule === 'BERT' || now.lrSchedule === 'cosine';
  if (stretched) {
    for (const change of changed('numOptimSteps')) {
      notices.push(`--num-optim-steps, which stretches the schedule, changes from ${change}`);
    }
  }
  return notices.map(
    (notice) => `${notice}: from here on this is not the run that it would have been.`,
  );
}

function entries<Key extends string>(
  names: Readonly<Record<Key, string>>,
): (readonly [Key, string])[] {
  const result: (readonly [Key, string])[] = [];
  for (const key in names) result.push([key, names[key]]);
  return result;
}
