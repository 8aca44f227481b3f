import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import type { DashboardNews, DashboardSample, DashboardTask } from './dashboard-protocol.js';
import type { StepReport, ValidationReport } from './options.js';

/** How long the thread may take to say good-bye to its readers, in milliseconds. */
const LONGEST_END = 2000;

const answerSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('listening'), port: z.number() }),
  z.object({ type: z.literal('failed'), code: z.string(), message: z.string() }),
]);

/**
 * A page on this machine (`http://127.0.0.1:PORT/`) that shows a training run while it goes on. It
 * lives in a thread of its own: training hands it numbers and never waits for it, and if it fails,
 * training goes on without it.
 */
export class Dashboard {
  /** The address of the page. */
  readonly url: string;
  readonly #worker: Worker;

  private constructor(worker: Worker, port: number) {
    this.#worker = worker;
    this.url = `http://127.0.0.1:${port}/`;
  }

  /**
   * Starts to listen.
   *
   * @throws UserError if the port cannot be had.
   */
  static async start(task: DashboardTask): Promise<Dashboard> {
    const worker = new Worker(new URL('./dashboard-worker.js', import.meta.url), {
      workerData: task,
    });
    const messages: unknown[] = await once(worker, 'message');
    const answer = answerSchema.parse(messages[0]);
    if (answer.type === 'failed') {
      await worker.terminate();
      throw new UserError(
        answer.code === 'EADDRINUSE'
          ? `Port ${task.port} is taken; choose another with --dashboard PORT.`
          : `The dashboard cannot listen on port ${task.port} (${answer.message}); choose another with --dashboard PORT.`,
      );
    }
    // What happens to it from here on is no reason for training to end.
    worker.on('error', () => undefined);
    worker.unref();
    return new Dashboard(worker, answer.port);
  }

  /** Shows a step. */
  step({ step, steps, loss, learningRate, gradientNorm, tokens, seconds }: StepReport): void {
    const row = { step, loss, learningRate, gradientNorm, tokens, seconds };
    this.#tell({ type: 'step', row, steps });
  }

  /** Shows a validation. */
  validation({ step, sequencePerplexity }: ValidationReport): void {
    this.#tell({ type: 'validation', step, perplexity: sequencePerplexity });
  }

  /** Shows what the model replies now. */
  samples(samples: readonly DashboardSample[]): void {
    this.#tell({ type: 'samples', samples });
  }

  /** Ends the page; those who look at it keep what they see. */
  async [Symbol.asyncDispose](): Promise<void> {
    const controller = new AbortController();
    const ended = once(this.#worker, 'exit', { signal: controller.signal });
    this.#tell({ type: 'end' });
    await Promise.race([
      ended.catch(() => undefined),
      setTimeout(LONGEST_END, undefined, { ref: true, signal: controller.signal }).catch(
        () => undefined,
      ),
    ]);
    controller.abort();
    await this.#worker.terminate();
  }

  #tell(news: DashboardNews): void {
    this.#worker.postMessage(news);
  }
}
