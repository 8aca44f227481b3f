import { once } from 'node:events';
import { ReadableStream } from 'node:stream/web';
import { MessageChannel, Worker } from 'node:worker_threads';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.js';
import { DEFAULT_MODEL, type HubOptions, resolveModel } from '../checkpoint/index.js';
import { checkOptions } from './model-defaults.js';
import type { GenerationOptions } from './options.js';
import {
  END,
  type LoadOptions,
  type ModelEvent,
  modelEvent,
  type ModelRequest,
  type ModelTask,
  type WorkerOptions,
} from './protocol.js';
import type { ReplyCandidate, ReplySummary } from './reply.js';
import type { Intervention } from './safety.js';
import { readModelDefaults } from './stored-defaults.js';

export type { LoadOptions };

/** How {@link DialogModel.reply} replies. */
export interface ReplyOptions extends GenerationOptions {
  /** Ends the reply; what has been generated so far has been yielded. */
  readonly signal?: AbortSignal;
  /** Is told of all candidates, the best first, before the reply comes. */
  readonly onCandidates?: (candidates: readonly ReplyCandidate[]) => void;
  /** Is told of each reply that the safety layer withholds. */
  readonly onIntervention?: (intervention: Intervention) => void;
  /** Is told of tokens and the reason to end when the reply is whole; not where it was aborted. */
  readonly onSummary?: (summary: ReplySummary) => void;
}

/** How {@link loadModel} finds and loads a model. */
export interface FindOptions extends LoadOptions {
  /** How the hub is asked for models that are not on this machine. */
  readonly hub?: HubOptions;
  /** Ends loading. */
  readonly signal?: AbortSignal;
}

/** A thread that has not ended by then is ended by force (milliseconds). */
const LONGEST_BATCH = 10_000;

const historySchema = z.array(z.string());

type ReadyEvent = Extract<ModelEvent, { type: 'ready' }>;

/** The thread of a model has ended while work was under way. */
export class ModelLostError extends Error {
  override readonly name = 'ModelLostError';

  constructor(cause: unknown) {
    const reason = cause === undefined ? 'it was ended' : messageOf(cause);
    super(`The model's thread is gone: ${reason}.`, { cause });
  }
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
  /** Resolves when the model's thread has ended, with the reason. */
  readonly ended: Promise<ModelLostError>;
  /** The most tokens that the model reads, the reply included. */
  readonly positions: number;
  /** How many different tokens it knows. */
  readonly vocabulary: number;
  /** How it replies where nothing is said. */
  readonly defaults: GenerationOptions;
  readonly #worker: Worker;
  readonly #waiting = new Set<(error: Error) => void>();
  #lost: ModelLostError | undefined;

  private constructor(
    worker: Worker,
    { positions, vocabulary }: ReadyEvent,
    defaults: GenerationOptions,
  ) {
    this.#worker = worker;
    this.defaults = defaults;
    this.positions = positions;
    this.vocabulary = vocabulary;
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    this.ended = new Promise((resolve) => {
      worker.once('exit', () => {
        resolve(this.#lose(cause));
      });
    });
  }

  /** Tells everyone who waits that nothing more will come. */
  #lose(cause: unknown): ModelLostError {
    this.#lost ??= new ModelLostError(cause);
    for (const fail of this.#waiting) fail(this.#lost);
    return this.#lost;
  }

  /**
   * Loads a model.
   *
   * @param path a folder in Hugging Face's layout, such as `dialogpt train` writes
   * @throws UserError if there is no such model or it is damaged.
   */
  static async load(path: string, options: WorkerOptions = {}): Promise<DialogModel> {
    const worker = new Worker(new URL('./model-worker.js', import.meta.url), {
      workerData: { path, options },
    });
    const event = modelEvent(await firstMessage(worker));
    if (event.type === 'ready') {
      worker.unref();
      return new DialogModel(worker, event, options.defaults ?? {});
    }
    await worker.terminate();
    const message = event.type === 'failed' ? event.message : `It said ${event.type} first.`;
    throw event.type === 'failed' && event.user ? new UserError(message) : new Error(message);
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
    checkOptions(options, this.defaults);
    // A single text would be taken for a list of its letters.
    if (!historySchema.safeParse(history).success) {
      throw new UserError('The history must be a list of texts, one a turn, the oldest first.');
    }
    const candidates = onCandidates !== undefined;
    const task: ModelTask = { type: 'reply', history: [...history], options, candidates };
    let summary: ReplySummary | undefined;
    for await (const event of this.ask(task, signal)) {
      if (event.type === 'piece' && event.text !== '') yield event.text;
      else if (event.type === 'candidates') onCandidates?.(event.candidates);
      else if (event.type === 'intervention') onIntervention?.(event);
      else if (event.type === 'end') {
        const { promptTokens, completionTokens, generatedTokens, finish } = event;
        summary = { promptTokens, completionTokens, generatedTokens, finish };
      }
    }
    // The end of a reply that comes in one piece is told before the piece, which may miss it.
    if (summary !== undefined && !isAborted(signal)) onSummary?.(summary);
  }

  /**
   * Does a task and tells all that comes of it, to its end or until the signal.
   *
   * @throws UserError if the task cannot be.
   * @throws ModelLostError if the model's thread ends meanwhile.
   */
  async *ask(task: ModelTask, signal?: AbortSignal): AsyncGenerator<ModelEvent, void, undefined> {
    if (isAborted(signal)) return;
    if (this.#lost !== undefined) throw this.#lost;
    const { port1: port, port2 } = new MessageChannel();
    let over = false;
    let fail: (error: Error) => void = () => undefined;
    let stop: () => void = () => undefined;
    const events = new ReadableStream<ModelEvent>({
      start: (controller) => {
        fail = (error) => {
          if (!over) controller.error(error);
          over = true;
        };
        port.on('message', (message: unknown) => {
          // Something may be under way when the reader goes; the stream would refuse it.
          if (over) return;
          const event = modelEvent(message);
          if (event.type === 'failed') {
            fail(event.user ? new UserError(event.message) : new Error(event.message));
          } else if (event.type === 'done') {
            over = true;
            controller.close();
          } else controller.enqueue(event);
        });
        stop = () => {
          if (!over) controller.close();
          over = true;
          port.close();
        };
      },
      cancel: () => {
        over = true;
      },
    });
    this.#waiting.add(fail);
    this.#worker.ref();
    const request: ModelRequest = { task, port: port2 };
    this.#worker.postMessage(request, [port2]);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      yield* events;
    } finally {
      signal?.removeEventListener('abort', stop);
      port.close();
      this.#waiting.delete(fail);
      if (this.#waiting.size === 0) this.#worker.unref();
    }
  }

  /**
   * Ends the model's thread; what is under way fails. The thread ends by itself, after the batch
   * that it computes: ONNX Runtime takes the whole program down where a thread is ended meanwhile.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#lose(undefined);
    this.#worker.ref();
    this.#worker.postMessage(END);
    const slow = setTimeout(() => void this.#worker.terminate(), LONGEST_BATCH);
    await this.ended;
    clearTimeout(slow);
  }
}

/**
 * Loads a model to talk to.
 *
 * @param name a folder or file; `small`, `medium` or `large`; or a name on the hub such as
 *   `microsoft/DialoGPT-medium`, with `@REVISION` if wanted. The same holds for the models of
 *   `options`. Without a name it is `small-talk`, which comes with the package.
 * @throws UserError if there is no such model or it is damaged.
 */
export async function loadModel(
  name: string = DEFAULT_MODEL,
  options: FindOptions = {},
): Promise<DialogModel> {
  const { hub, signal, rankers = [], ...rest } = options;
  const find = async (model: string) => {
    signal?.throwIfAborted();
    return resolveModel(model, hub);
  };
  const path = await find(name);
  const found = [];
  for (const ranker of rankers) found.push({ ...ranker, path: await find(ranker.path) });
  const own = await readModelDefaults(path);
  const { reverseModel = own.reverseModel } = options;
  const role = options.reverseModel === undefined ? 'ownReverseModel' : 'reverseModel';
  const model = await DialogModel.load(path, {
    defaults: own.options,
    ...rest,
    ...(reverseModel === undefined ? {} : { [role]: await find(reverseModel) }),
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
