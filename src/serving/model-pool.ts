import { setTimeout } from 'node:timers/promises';
import {
  type DialogModel,
  type ModelEvent,
  ModelLostError,
  type ModelTask,
} from '../decoding/index.js';
import { ApiError } from './errors.js';

/** How often work that had said nothing yet is begun anew when the model's thread was lost. */
const RETRIES = 1;

/** A thread that lived this long is replaced at once; others ever later (milliseconds). */
const STEADY = 60_000;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 30_000;

/** Who is told what happens to the model's thread. */
export interface PoolObserver {
  /** The thread is gone, or a new one could not be made. */
  onLost(reason: Error): void;
  onRestarted(): void;
}

/** How a pool runs. */
export interface PoolOptions {
  readonly load: () => Promise<DialogModel>;
  /** How many tasks run side by side. */
  readonly slots: number;
  /** How many more may wait. */
  readonly maxQueue: number;
  readonly observer: PoolObserver;
}

/** What a task is run with. */
export interface RunOptions {
  /** Ends the task, waiting or running; its reason is thrown. */
  readonly signal: AbortSignal;
  /** Is told of all that comes of the task; after a retry, of the prompt once more. */
  readonly onEvent: (event: ModelEvent) => void;
  /** Whether it is a part of a request that has its place already: it waits, however long the queue. */
  readonly admitted?: boolean;
}

/** Someone who waits for a slot. */
interface Waiting {
  readonly start: () => void;
}

/**
 * Keeps a model's thread alive and gives it as many tasks at a time as it has slots; others wait in
 * a queue that has an end. When the thread is lost, a new one takes its place: tasks that wait never
 * notice, those that had said nothing are begun anew once, and the others fail.
 */
export class ModelPool {
  readonly slots: number;
  readonly #options: PoolOptions;
  readonly #queue: Waiting[] = [];
  #model: Promise<DialogModel>;
  #current: DialogModel;
  #ready = true;
  #closing = false;
  #busy = 0;
  /** The mean time of a task, in seconds, of late. */
  #seconds = 1;

  private constructor(options: PoolOptions, model: DialogModel) {
    this.slots = options.slots;
    this.#options = options;
    this.#current = model;
    this.#model = Promise.resolve(model);
    this.#watch(model, 0);
  }

  /** Loads the model. */
  static async start(options: PoolOptions): Promise<ModelPool> {
    return new ModelPool(options, await options.load());
  }

  /** Whether there is a model to do tasks. */
  get ready(): boolean {
    return this.#ready;
  }

  /** The model as last loaded. */
  get model(): DialogModel {
    return this.#current;
  }

  /** How many tasks run. */
  get busy(): number {
    return this.#busy;
  }

  /** How many tasks wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * Does a task as soon as there is a slot for it.
   *
   * @throws ApiError if too many wait already (429), or the model's thread was lost (502).
   */
  async run(task: ModelTask, { signal, onEvent, admitted = false }: RunOptions): Promise<void> {
    await this.#turn(signal, admitted);
    const started = performance.now();
    try {
      for (let attempt = 0; ; attempt++) {
        let said = false;
        const model = await abortable(this.#model, signal);
        try {
          for await (const event of model.ask(task, signal)) {
            said ||= event.type === 'piece';
            onEvent(event);
          }
          signal.throwIfAborted();
          return;
        } catch (error) {
          if (!(error instanceof ModelLostError)) throw error;
          await model.ended;
          if (said || attempt >= RETRIES || this.#closing) {
            throw new ApiError(502, 'The model failed while it answered; try again.', {
              code: 'model_lost',
              cause: error,
            });
          }
        }
      }
    } finally {
      this.#seconds += ((performance.now() - started) / 1000 - this.#seconds) / 8;
      this.#busy -= 1;
      this.#queue.shift()?.start();
    }
  }

  /** Ends the model's thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    await this.#current[Symbol.asyncDispose]();
  }

  async #turn(signal: AbortSignal, admitted: boolean): Promise<void> {
    signal.throwIfAborted();
    if (this.#busy >= this.slots) {
      if (!admitted && this.#queue.length >= this.#options.maxQueue) throw this.#full();
      await new Promise<void>((resolve, reject) => {
        const leave = () => {
          this.#queue.splice(this.#queue.indexOf(waiting), 1);
          reject(asError(signal.reason));
        };
        const waiting: Waiting = {
          start: () => {
            signal.removeEventListener('abort', leave);
            // The slot is taken at once, before anybody who comes meanwhile.
            this.#busy += 1;
            resolve();
          },
        };
        this.#queue.push(waiting);
        signal.addEventListener('abort', leave, { once: true });
      });
    } else this.#busy += 1;
  }

  #full(): ApiError {
    const seconds = Math.ceil((this.#seconds * (this.#queue.length + 1)) / this.slots);
    return new ApiError(429, 'The server has as much to do as it takes on; try again later.', {
      type: 'server_busy',
      code: 'queue_full',
      headers: { 'retry-after': String(Math.min(60, Math.max(1, seconds))) },
    });
  }

  #isClosing(): boolean {
    return this.#closing;
  }

  #watch(model: DialogModel, failures: number): void {
    const since = performance.now();
    void model.ended.then((reason) => {
      if (this.#closing) return;
      this.#ready = false;
      this.#options.observer.onLost(reason);
      const early = performance.now() - since < STEADY;
      this.#model = this.#reload(early ? failures : 0);
      // Whoever waits for the model is told; a server that nobody asks is not to end for it.
      this.#model.catch(() => undefined);
    });
  }

  /** Loads the model until that works. */
  async #reload(failures: number): Promise<DialogModel> {
    for (let failed = failures; ; failed++) {
      if (failed > 0) await setTimeout(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failed));
      if (this.#isClosing()) throw new ApiError(503, 'The server is going down.');
      try {
        const model = await this.#options.load();
        if (this.#isClosing()) await model[Symbol.asyncDispose]();
        this.#current = model;
        this.#ready = true;
        this.#options.observer.onRestarted();
        this.#watch(model, failed + 1);
        return model;
      } catch (error) {
        this.#options.observer.onLost(asError(error));
      }
    }
  }
}

/** A promise's value, unless the signal comes first. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      reject(asError(signal.reason));
    };
    signal.addEventListener('abort', leave, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', leave);
    });
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
