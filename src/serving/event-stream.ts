import type { Context } from 'hono';
import type { Logger } from 'pino';
import type { Env } from './context.js';
import { ApiError, ClientGone, toApiError } from './errors.js';

/** Sends one message of an event stream. */
export type Send = (message: unknown) => void;

/**
 * An answer as server-sent events: whatever `work` sends, then `[DONE]`. What fails before anything
 * is sent is thrown, so that the answer has its right status; an error after that ends the stream
 * with a message in OpenAI's shape and without `[DONE]`. A client that goes away ends the request.
 *
 * What is not read yet is kept; it is as long as the answer at most.
 */
export async function eventStream(
  context: Context<Env>,
  log: Logger,
  work: (send: Send) => Promise<void>,
): Promise<Response> {
  const scope = context.get('scope');
  const stream = new MessageStream(() => {
    scope.leave();
  });
  const run = async () => {
    try {
      await work((message) => {
        stream.write(JSON.stringify(message));
      });
      stream.write('[DONE]');
    } catch (error) {
      if (!stream.begun) throw error;
      noteError(error, scope, log);
      stream.write(JSON.stringify(toApiError(error).body));
    }
    stream.close();
  };
  await Promise.race([stream.first, run()]);
  context.header('content-type', 'text/event-stream; charset=utf-8');
  context.header('cache-control', 'no-cache');
  context.header('x-accel-buffering', 'no');
  // Says that this is a stream, so that its headers go out at once.
  context.header('transfer-encoding', 'chunked');
  return context.body(stream.body);
}

/** The messages of an event stream, kept until they are read. */
class MessageStream {
  readonly body: ReadableStream<Uint8Array>;
  /** Resolves at the first message. */
  readonly first: Promise<void>;
  /** Whether there was a message. */
  begun = false;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #onFirst: () => void = () => undefined;

  constructor(onCancel: () => void) {
    this.first = new Promise((resolve) => {
      this.#onFirst = resolve;
    });
    this.body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
        onCancel();
      },
    });
  }

  write(text: string): void {
    this.begun = true;
    this.#onFirst();
    this.#controller?.enqueue(this.#encoder.encode(`data: ${text}\n\n`));
  }

  close(): void {
    this.#controller?.close();
  }
}

/** Notes why a request failed; what is a fault of ours is logged whole. */
export function noteError(
  error: unknown,
  { id, notes }: Env['Variables']['scope'],
  log: Logger,
): void {
  if (error instanceof ClientGone) {
    notes.error = 'client_gone';
    return;
  }
  const told = toApiError(error);
  notes.error = told.code ?? told.type;
  const fault = error instanceof ApiError ? error.cause : error;
  if (told.status >= 500 && fault !== undefined) log.error({ request: id, err: fault }, 'failed');
}
