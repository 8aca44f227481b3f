import * as z from 'zod';
import { UserError } from '../base/errors.js';
import { checkOptions, type ReplySummary } from '../decoding/portable.js';
import type { FetchOptions } from './files.js';
import type { BrowserReplyOptions } from './model.js';
import {
  type Port,
  STOP,
  type WorkerEvent,
  workerEvent,
  type WorkerLoadOptions,
  type WorkerTask,
} from './protocol.js';

/** A worker whose file calls `answerInWorker(self)`. */
export interface ModelWorker {
  postMessage(message: unknown, transfer: Port[]): void;
  addEventListener(type: 'error', listener: (event: object) => void): void;
  terminate(): void;
}

/** How {@link WorkerModel.load} loads a model. */
export type WorkerModelOptions = WorkerLoadOptions & Omit<FetchOptions, 'headers'>;

/** A dialogue model in a worker, so that the page stays responsive while it thinks. */
export class WorkerModel implements Disposable {
  /** The most tokens that the model reads, the reply included. */
  readonly positions: number;
  /** How many different tokens it knows. */
  readonly vocabulary: number;
  readonly #connection: Connection;

  private constructor(connection: Connection, positions: number, vocabulary: number) {
    this.#connection = connection;
    this.positions = positions;
    this.vocabulary = vocabulary;
  }

  /**
   * Loads a model in a worker.
   *
   * @param folder the address of the model's folder (see `fetchModel`), seen from the page
   * @throws UserError if it cannot be fetched, is damaged, or the device cannot be had.
   */
  static async load(
    worker: ModelWorker,
    folder: string,
    { onProgress, signal, ...options }: WorkerModelOptions = {},
  ): Promise<WorkerModel> {
    const connection = new Connection(worker);
    const { runtimeFiles } = options;
    const task: WorkerTask = {
      type: 'load',
      folder: fromHere(folder),
      options: {
        ...options,
        ...(runtimeFiles === undefined ? {} : { runtimeFiles: fromHere(runtimeFiles) }),
      },
    };
    let model: WorkerModel | undefined;
    for await (const event of connection.ask(task, signal)) {
      if (event.type === 'progress') onProgress?.({ loaded: event.loaded, total: event.total });
      else if (event.type === 'ready') {
        model = new WorkerModel(connection, event.positions, event.vocabulary);
      }
    }
    signal?.throwIfAborted();
    if (model === undefined) throw new Error('The worker did not load the model.');
    return model;
  }

  /**
   * Replies to a conversation, piece by piece, as `DialogModel.reply` does.
   *
   * @param history the turns so far, oldest first; the last is the one to reply to
   * @throws UserError if an option cannot be, or there is nothing to reply to.
   */
  async *reply(
    history: readonly string[],
    { signal, onCandidates, onIntervention, onSummary, ...options }: BrowserReplyOptions = {},
  ): AsyncGenerator<string, void, undefined> {
    checkOptions(options);
    const candidates = onCandidates !== undefined;
    const task: WorkerTask = { type: 'reply', history: [...history], options, candidates };
    let summary: ReplySummary | undefined;
    for await (const event of this.#connection.ask(task, signal)) {
      if (event.type === 'piece') yield event.text;
      else if (event.type === 'candidates') onCandidates?.(event.candidates);
      else if (event.type === 'intervention') onIntervention?.(event);
      else if (event.type === 'summary') {
        const { promptTokens, completionTokens, generatedTokens, finish } = event;
        summary = { promptTokens, completionTokens, generatedTokens, finish };
      }
    }
    // The end of a reply that comes in one piece is told before the piece, which may miss it.
    if (summary !== undefined && signal?.aborted !== true) onSummary?.(summary);
  }

  /** Ends the worker. */
  [Symbol.dispose](): void {
    this.#connection.end();
  }
}

/** An address seen from the page: a worker would take it from where its file lies. */
function fromHere(address: string): string {
  const page = z.object({ location: z.object({ href: z.string() }) }).safeParse(globalThis);
  return new URL(address, page.data?.location.href).href;
}

/** Asks a worker, over a port of its own for each task. */
class Connection {
  readonly #worker: ModelWorker;
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(worker: ModelWorker) {
    this.#worker = worker;
    worker.addEventListener('error', (event) => {
      const message = 'message' in event ? String(event.message) : 'its file cannot be loaded';
      this.#fail(new Error(`The model's worker failed: ${message}.`));
    });
  }

  async *ask(task: WorkerTask, signal?: AbortSignal): AsyncGenerator<WorkerEvent, void, undefined> {
    if (signal?.aborted === true) return;
    const { port1: port, port2 } = new MessageChannel();
    let fail: (error: Error) => void = () => undefined;
    const events = new ReadableStream<WorkerEvent>({
      start: (controller) => {
        let over = false;
        fail = (error) => {
          if (!over) controller.error(error);
          over = true;
        };
        port.addEventListener('message', (message) => {
          if (over || !('data' in message)) return;
          const event = workerEvent(message.data);
          if (event.type === 'failed') {
            fail(event.user ? new UserError(event.message) : new Error(event.message));
          } else if (event.type === 'done') {
            over = true;
            controller.close();
          } else controller.enqueue(event);
        });
      },
    });
    const stop = (): void => {
      port.postMessage(STOP);
    };
    this.#waiting.add(fail);
    port.start();
    signal?.addEventListener('abort', stop, { once: true });
    const reader = events.getReader();
    try {
      this.#worker.postMessage({ task, port: port2 }, [port2]);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        yield value;
      }
    } finally {
      stop();
      signal?.removeEventListener('abort', stop);
      port.close();
      this.#waiting.delete(fail);
    }
  }

  end(): void {
    this.#worker.terminate();
    this.#fail(new Error("The model's worker was ended."));
  }

  #fail(error: Error): void {
    for (const fail of this.#waiting) fail(error);
  }
}
