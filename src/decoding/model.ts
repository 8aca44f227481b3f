import { once } from 'node:events';
import { ReadableStream } from 'node:stream/web';
import { MessageChannel, Worker } from 'node:worker_threads';
import { UserError } from '../base/errors.js';
import { type HubOptions, resolveModel } from '../checkpoint/index.js';
import { generationOptions, type GenerationOptions } from './options.js';
import { type LoadOptions, type ModelRequest, modelEvent } from './protocol.js';
import type { ReplyCandidate, ReplySummary } from './reply.js';
import type { Intervention } from './safety.js';

export type { LoadOptions };

/** How {@link DialogModel.reply} replies. */
export interface ReplyOptions extends GenerationOptions {
  /** Ends the reply; what has been generated so far has been yielded. */
  readonly signal?: AbortSignal;
  /** Is told of all candidates, the best first, before the reply comes. */
  readonly onCandidates?: (candidates: readonly ReplyCandidate[]) => void;
  /** Is told of each reply that the safety layer withholds. */
  readonly onIntervention?: (intervention: Intervention) => void;
  /** Is told of tokens and the reason to end when the reply is whole. */
  readonly onSummary?: (summary: ReplySummary) => void;
}

/** How {@link loadModel} finds and loads a model. */
export interface FindOptions extends LoadOptions {
  /** How the hub is asked for models that are not on this machine. */
  readonly hub?: HubOptions;
  /** Ends loading. */
  readonly signal?: AbortSignal;
}

/**
 * A dialogue model that one can talk to. It runs in a thread of its own, so the caller stays
 * responsive while it thinks.
 *
 * ```ts
 * await using model = await loadModel('my-model');
 * for await (const piece of model.reply(['Hello!'])) process.stdout.write(piece);
 * ```
 */
export class DialogModel {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /**
   * Loads a model.
   *
   * @param path a folder in Hugging Face's layout, such as `dialogpt train` writes
   * @throws UserError if there is no such model or it is damaged.
   */
  static async load(path: string, options: LoadOptions = {}): Promise<DialogModel> {
    const worker = new Worker(new URL('./model-worker.js', import.meta.url), {
      workerData: { path, options },
    });
    const event = modelEvent(await firstMessage(worker));
    if (event.type === 'failed') {
      await worker.terminate();
      throw event.user ? new UserError(event.message) : new Error(event.message);
    }
    worker.unref();
    // Each reply under way listens for the thread's end.
    worker.setMaxListeners(0);
    return new DialogModel(worker);
  }

  /**
   * Replies to a conversation, piece by piece. Several replies at a time share the decoder's batches.
   *
   * @param history the turns so far, oldest first; the last is the one to reply to
   * @throws UserError if an option cannot be, or there is nothing to reply to.
   */
  async *reply(
    history: readonly string[],
    { signal, onCandidates, onIntervention, onSummary, ...options }: ReplyOptions = {},
  ): AsyncGenerator<string, void, undefined> {
    generationOptions(options);
    if (isAborted(signal)) return;
    const { port1: port, port2 } = new MessageChannel();
    const request: ModelRequest = {
      history: [...history],
      options,
      candidates: onCandidates !== undefined,
      port: port2,
    };
    let cancelled = false;
    let fail: (error: Error) => void = () => undefined;
    const pieces = new ReadableStream<string>({
      start: (controller) => {
        fail = (error) => {
          controller.error(error);
        };
        port.on('message', (message: unknown) => {
          // A piece may be under way when the reader goes; the stream would refuse it.
          if (cancelled) return;
          const event = modelEvent(message);
          if (event.type === 'piece') controller.enqueue(event.text);
          else if (event.type === 'candidates') onCandidates?.(event.candidates);
          else if (event.type === 'intervention') onIntervention?.(event);
          else if (event.type === 'done') {
            const { type: _, ...summary } = event;
            onSummary?.(summary);
            port.close();
          }
          else if (event.type === 'failed') {
            controller.error(event.user ? new UserError(event.message) : new Error(event.message));
          }
        });
        port.once('close', () => {
          closeQuietly(controller);
        });
        this.#worker.once('error', fail);
      },
      cancel: () => {
        cancelled = true;
      },
    });
    const stop = () => {
      port.close();
    };
    signal?.addEventListener('abort', stop, { once: true });
    this.#worker.ref();
    this.#worker.postMessage(request, [port2]);
    try {
      yield* pieces;
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#worker.off('error', fail);
      port.close();
      this.#worker.unref();
    }
  }

  /** Ends the model's thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

/**
 * Loads a model to talk to.
 *
 * @param name a folder or file; `small`, `medium` or `large`; or a name on the hub such as
 *   `microsoft/DialoGPT-medium`, with `@REVISION` if wanted. The same holds for the models of
 *   `options`.
 * @throws UserError if there is no such model or it is damaged.
 */
export async function loadModel(name: string, options: FindOptions = {}): Promise<DialogModel> {
  const { hub, signal, reverseModel, rankers = [], ...rest } = options;
  const find = async (model: string) => {
    signal?.throwIfAborted();
    return resolveModel(model, hub);
  };
  const path = await find(name);
  const found = [];
  for (const ranker of rankers) found.push({ ...ranker, path: await find(ranker.path) });
  const model = await DialogModel.load(path, {
    ...rest,
    ...(reverseModel === undefined ? {} : { reverseModel: await find(reverseModel) }),
    ...(found.length === 0 ? {} : { rankers: found }),
  });
  if (!isAborted(signal)) return model;
  await model[Symbol.asyncDispose]();
  throw signal?.reason;
}

/** The first message of a thread; rejects if it fails before. */
async function firstMessage(worker: Worker): Promise<unknown> {
  const messages: unknown[] = await once(worker, 'message');
  return messages[0];
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}

/** A stream that has already failed refuses to be closed, which is no error of anybody. */
function closeQuietly(controller: { close(): void }): void {
  try {
    controller.close();
  } catch {
    // It has ended.
  }
}
