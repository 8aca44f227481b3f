/** The learning-rate schedules, by the original's names (`--lr_schedule`) and our own `cosine`. */
export const SCHEDULES = ['noam', 'noamwd', 'BERT', 'None', 'cosine'] as const;

/** One of {@link SCHEDULES}. */
export type ScheduleName = (typeof SCHEDULES)[number];

/** What schedules depend on. */
export interface ScheduleOptions {
  /** The learning rate asked for (`--learning_rate`). */
  readonly learningRate: number;
  /** Steps in all (`--num_optim_steps`). */
  readonly steps: number;
  /** Steps of rising learning rate, for `noam` and `noamwd` (`--warmup_steps`). */
  readonly warmupSteps: number;
  /** The share of steps of rising learning rate, for `BERT` and `cosine` (`--warmup_proportion`). */
  readonly warmupProportion: number;
  /** The model's width (`n_embd`), for `noam` and `noamwd`. */
  readonly width: number;
}

/**
 * The learning rate of a step as the original's `set_lr` sets it (gpt2_training/train_utils.py,
 * with the functions of lsp_model/optim.py).
 *
 * @param step counted from 0
 */
export function learningRateAt(name: ScheduleName, step: number, options: ScheduleOptions): number {
  const { learningRate, steps, warmupSteps, warmupProportion, width } = options;
  switch (name) {
    case 'None':
      return learningRate;
    case 'noam':
      return learningRate * 1e4 * noam(step + 1, warmupSteps, width);
    case 'noamwd': {
      const halvings = Math.floor(Math.max(step + 1 - 500 + 1000, 0) / 1000);
      return learningRate * 1e4 * noam(step + 1, warmupSteps, width) * 0.5 ** halvings;
    }
    case 'BERT': {
      const progress = step / steps;
      return progress < warmupProportion
        ? (learningRate * progress) / warmupProportion
        : (learningRate * (1 - progress)) / (1 - warmupProportion);
    }
    case 'cosine': {
      // Counted from 1, so that the first step already learns something.
      const progress = (step + 1) / steps;
      if (progress <= warmupProportion) return (learningRate * progress) / warmupProportion;
      const descent = (progress - warmupProportion) / (1 - warmupProportion);
      return learningRate * 0.5 * (1 + Math.cos(Math.PI * Math.min(descent, 1)));
    }
  }
}

/** The schedule of Vaswani et al. 2017, equation 3. */
function noam(step: number, warmupSteps: number, width: number): number {
  return width ** -0.5 * Math.min(step ** -0.5, step * warmupSteps ** -1.5);
}
