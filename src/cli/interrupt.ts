import { UserError } from '../base/errors.js';

/** The exit code of a program that Ctrl-C ended, as shells have it. */
export const INTERRUPTED = 130;

/** Says where work stood when Ctrl-C ended it. */
export class InterruptedError extends UserError {}

/** How long work may go on after the first Ctrl-C is up to it; the second ends the program. */
export class Interrupt {
  readonly #controller = new AbortController();
  readonly #listener: () => void;

  /** @param onFirst called at the first Ctrl-C (or SIGTERM) */
  constructor(onFirst: () => void) {
    this.#listener = () => {
      if (this.#controller.signal.aborted) process.exit(INTERRUPTED);
      onFirst();
      this.#controller.abort();
    };
    process.on('SIGINT', this.#listener);
    process.on('SIGTERM', this.#listener);
  }

  /** Aborted at the first Ctrl-C. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    process.off('SIGINT', this.#listener);
    process.off('SIGTERM', this.#listener);
  }
}
