import type { StepReport, ValidationReport } from '../training/index.js';
import { onlyLines, type Progress, showSteps } from './progress.js';
import type { SampleReply } from './train-samples.js';

/** How fast the shown loss forgets earlier steps. */
const SMOOTHING = 0.95;

/** Shows a training run: a progress bar with loss, perplexity and speed, a line a validation. */
export class TrainingDisplay {
  readonly #progress: Progress;
  #loss: number | undefined;

  /** @param shown whether steps are shown; validations always are */
  constructor(steps: number, shown = true) {
    this.#progress = shown ? showSteps('training', steps) : onlyLines();
  }

  /** Shows a step. */
  step({ step, loss, tokens, seconds }: StepReport): void {
    this.#loss = this.#loss === undefined ? loss : SMOOTHING * this.#loss + (1 - SMOOTHING) * loss;
    const speed = Math.round(tokens / seconds);
    const facts = [
      `loss ${this.#loss.toFixed(3)}`,
      `perplexity ${formatPerplexity(Math.exp(this.#loss))}`,
      `${speed} tokens/s`,
    ];
    this.#progress.update(step, facts.join(' | '));
  }

  /** Shows a validation. */
  validation({ step, loss, perplexity }: ValidationReport): void {
    this.#progress.say(
      `step ${step}: held-out loss ${loss.toFixed(3)}, perplexity ${formatPerplexity(perplexity)}`,
    );
  }

  /** Shows what the model replies now. */
  samples(samples: readonly SampleReply[]): void {
    for (const { turn, reply } of samples) this.#progress.say(`  ${turn}  →  ${reply}`);
  }

  /** Ends the display. */
  stop(): void {
    this.#progress.stop();
  }
}

/** A perplexity with as many digits as mean something. */
export function formatPerplexity(perplexity: number): string {
  return perplexity.toFixed(perplexity < 100 ? 2 : 0);
}
