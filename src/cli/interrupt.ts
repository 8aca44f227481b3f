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

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Does work during which the system itself ends the program at Ctrl-C (or SIGTERM). For work that
 * keeps the thread busy, so that no listener would get a turn, and that writes nothing.
 */
export async function endingAtOnce<T>(work: () => Promise<T>): Promise<T> {
  const kept = SIGNALS.map((signal) => ({ signal, listeners: process.listeners(signal) }));
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  try {
    return await work();
  } finally {
    for (const { signal, listeners } of kept) {
      for (const listener of listeners) process.on(signal, listener);
    }
  }
}

/**
 * Ends the program at Ctrl-C (or SIGTERM) while nothing under way has an {@link Interrupt} of its
 * own. What has been half written goes as the program ends.
 */
export function endAtInterrupt(): void {
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (process.listenerCount(signal) > 1) return;
      process.stderr.write('\ndialogpt: interrupted; what was half written has been removed.\n');
      process.exit(INTERRUPTED);
    });
  }
}
