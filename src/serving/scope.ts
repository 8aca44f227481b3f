import { randomUUID } from 'node:crypto';
import { ApiError, ClientGone } from './errors.js';

/** What a request's log line and metrics tell besides its route. */
export interface RequestNotes {
  promptTokens?: number;
  cachedTokens?: number;
  completionTokens?: number;
  /** Seconds until the first text. */
  firstToken?: number;
  error?: string;
  /** What the safety layer did, without the words that it is about. */
  interventions?: readonly string[];
  /** Texts, where they are to be logged. */
  messages?: unknown;
  answers?: readonly string[];
}

/** The life of one request: it ends when it is answered, given up, too late or thrown out. */
export class RequestScope {
  readonly id = `req_${randomUUID().replaceAll('-', '')}`;
  readonly started = performance.now();
  readonly notes: RequestNotes = {};
  readonly #controller = new AbortController();
  readonly #scopes: Set<RequestScope>;
  readonly #timer: NodeJS.Timeout;
  readonly #work: Promise<unknown>[] = [];

  /**
   * @param scopes all requests under way, among which this one is until it ends
   * @param seconds how long it may take
   */
  constructor(scopes: Set<RequestScope>, seconds: number) {
    this.#scopes = scopes;
    scopes.add(this);
    this.#timer = setTimeout(() => {
      this.abort(
        new ApiError(504, `The answer took longer than the ${seconds} s that this server allows.`, {
          code: 'request_timeout',
        }),
      );
    }, seconds * 1000);
  }

  /** Aborted when nobody wants the answer any more; its reason says why. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Seconds since the request came. */
  get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  /** Lets the answer take as long as its client's line does. */
  takeTime(): void {
    clearTimeout(this.#timer);
  }

  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** The client has closed the connection. */
  leave(): void {
    this.abort(new ClientGone('The client closed the connection.'));
  }

  /** Notes that text has been sent. */
  noteText(): void {
    this.notes.firstToken ??= this.seconds;
  }

  /** Notes work of the request, which may go on for a moment when its client has gone. */
  async track<T>(work: Promise<T>): Promise<T> {
    this.#work.push(work);
    return work;
  }

  /** The answer has been sent, or never will be; resolves when the work on it has ended too. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.allSettled(this.#work);
    this.#scopes.delete(this);
  }
}
