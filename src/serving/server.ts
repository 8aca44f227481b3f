import { getRequestListener } from '@hono/node-server';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { basename } from 'node:path';
import { pino } from 'pino';
import { codeOf, messageOf, UserError } from '../base/errors.js';
import { hasValueHead } from '../checkpoint/index.js';
import {
  type DialogModel,
  type GenerationOptions,
  loadModel,
  type LoadOptions,
  readModelDefaults,
} from '../decoding/index.js';
import { createApp, type Extension } from './app.js';
import { ApiKeys } from './auth.js';
import { ApiError, toApiError } from './errors.js';
import { isLoopback } from './hosts.js';
import { Metrics } from './metrics.js';
import { ModelPool } from './model-pool.js';
import type { RequestScope } from './scope.js';
import type { Services } from './services.js';

/** How a server runs; all but the model has a default. */
export interface ServerOptions {
  /** A model's folder, such as `dialogpt train` writes. */
  readonly model: string;
  /** What clients call it: its name, and others that are taken for it; the folder's name. */
  readonly modelNames?: readonly string[];
  /** Where it computes, how many replies side by side, and the models that rank. */
  readonly loading?: LoadOptions;
  /**
   * The model as it is being loaded already, with the same options, warmed up; it is the server's
   * to end. Unless given, the server loads it.
   */
  readonly firstModel?: Promise<DialogModel>;
  /** How replies are generated where a request does not say. */
  readonly defaults?: GenerationOptions;
  /** The address to listen at; 127.0.0.1. */
  readonly host?: string;
  /** 8000; 0 is any that is free. */
  readonly port?: number;
  /** Keys of which clients must show one. */
  readonly apiKeys?: readonly string[];
  /** Whether a server beyond loopback may be without keys. */
  readonly allowUnauthenticated?: boolean;
  /** Names by which the server may be asked besides loopback's. */
  readonly allowedHosts?: readonly string[];
  /** Sites whose pages may ask, or `*`; none. */
  readonly corsOrigins?: readonly string[];
  /** Requests a minute of one key or address; any number. */
  readonly rateLimit?: number;
  /** Whether a proxy in front tells who asks, in `X-Forwarded-For`. */
  readonly trustProxy?: boolean;
  /** How many replies may wait for a slot; 64. */
  readonly maxQueue?: number;
  /** The largest body, in bytes; 1 MiB. */
  readonly maxBody?: number;
  /** How long an answer may take, in seconds, waiting and reading included; 120. */
  readonly requestTimeout?: number;
  /** How long a client may take to send a request's head, in seconds; 15. */
  readonly headersTimeout?: number;
  /** What is logged on standard error: pino's levels or `silent`; `info`. */
  readonly logLevel?: string;
  /** Whether texts are logged too. */
  readonly logMessages?: boolean;
  /** What else is served, such as a web page. */
  readonly extensions?: readonly Extension[];
}

/** Replies generated side by side, unless said otherwise. */
const DEFAULT_SLOTS = 8;

/** How long requests that were thrown out have to say so (milliseconds). */
const LAST_WORDS = 1500;

/** A server that is up. */
export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly services: Services;
  /**
   * Goes down: takes no new requests, lets those under way end for so many seconds, and throws out
   * the rest.
   */
  close(drainSeconds?: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Loads a model and serves it over HTTP.
 *
 * @throws UserError if there is no such model, the address cannot be listened at, or the server
 *   would be open to everybody.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host = '127.0.0.1', apiKeys = [], requestTimeout = 120 } = options;
  const local = isLoopback(host);
  if (!local && apiKeys.length === 0 && options.allowUnauthenticated !== true) {
    throw new UserError(
      `Listening at ${host} would let everybody in who reaches it: give an --api-key, or --allow-unauthenticated.`,
    );
  }
  const log = pino(
    { level: options.logLevel ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(2),
  );
  const { reverseModel, options: own } = await readModelDefaults(options.model);
  const { loading = {} } = options;
  const metrics = new Metrics();
  const slots = loading.slots ?? DEFAULT_SLOTS;
  let { firstModel } = options;
  const pool = await ModelPool.start({
    load: () => {
      const begun = firstModel;
      firstModel = undefined;
      return begun ?? loadModel(options.model, { warmUp: true, ...loading, slots });
    },
    slots,
    maxQueue: options.maxQueue ?? 64,
    observer: {
      onLost: (reason) => {
        metrics.countLoss();
        log.error({ err: reason }, 'the model is lost and will be loaded anew');
      },
      onRestarted: () => {
        log.info('the model is loaded anew');
      },
    },
  });
  metrics.watch(pool);
  const [name = basename(options.model), ...others] = options.modelNames ?? [];
  const services: Services = {
    pool,
    modelNames: [name, ...others],
    rankerNames: (loading.rankers ?? []).map((ranker) => ranker.name),
    rerankers: [
      ...((loading.reverseModel ?? reverseModel) === undefined ? [] : (['mmi'] as const)),
      ...((loading.rankers ?? []).length === 0 ? [] : (['ranker'] as const)),
      ...((await hasValueHead(options.model)) ? (['value'] as const) : []),
    ],
    ownDefaults: own,
    defaults: {
      // A client sends what it wants to be read.
      maxHistoryTurns: own.maxHistoryTurns ?? 0,
      ...options.defaults,
    },
    log,
    logMessages: options.logMessages ?? false,
    created: Math.floor(Date.now() / 1000),
  };
  const scopes = new Set<RequestScope>();
  let draining = false;
  const { allowedHosts, rateLimit } = options;
  const checkHosts = local || allowedHosts !== undefined;
  const app = createApp({
    services,
    metrics,
    keys: new ApiKeys(apiKeys),
    scopes,
    isDraining: () => draining,
    ...(checkHosts ? { allowedHosts: allowedHosts ?? [] } : {}),
    ...(rateLimit === undefined ? {} : { rateLimit }),
    corsOrigins: options.corsOrigins ?? [],
    maxBody: options.maxBody ?? 2 ** 20,
    requestTimeout,
    trustProxy: options.trustProxy ?? false,
    extensions: options.extensions ?? [],
  });
  const listener = getRequestListener(app.fetch, { errorHandler: answerBadRequest });
  const headersTimeout = (options.headersTimeout ?? 15) * 1000;
  const server = createServer(
    {
      headersTimeout,
      requestTimeout: 4 * headersTimeout,
      connectionsCheckingInterval: Math.min(headersTimeout, 5000),
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      keepAliveTimeout: 65_000,
    },
    (request, response) => void listener(request, response),
  );
  server.on('clientError', refuseConnection);
  let port: number;
  try {
    port = await listen(server, host, options.port ?? 8000);
  } catch (error) {
    await pool[Symbol.asyncDispose]();
    throw error;
  }
  const close = async (drainSeconds = 0) => {
    if (draining) return;
    draining = true;
    server.close();
    await emptied(scopes, drainSeconds * 1000);
    const reason = new ApiError(503, 'The server is going down.', { code: 'shutting_down' });
    for (const scope of scopes) scope.abort(reason);
    await emptied(scopes, LAST_WORDS);
    server.closeAllConnections();
    await pool[Symbol.asyncDispose]();
  };
  const address = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${address}:${port}`,
    port,
    services,
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason =
      codeOf(error) === 'EADDRINUSE'
        ? 'something else listens there; give another --port, or 0 for any that is free'
        : messageOf(error);
    throw new UserError(`Cannot listen at ${host}, port ${port}: ${reason}.`, { cause: error });
  }
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/** Waits until all requests have ended, but so many milliseconds at most. */
async function emptied(scopes: ReadonlySet<RequestScope>, limit: number): Promise<void> {
  const end = performance.now() + limit;
  while (scopes.size > 0 && performance.now() < end) await setTimeout(20);
}

/** Answers what is HTTP but no request that can be understood. */
function answerBadRequest(error: unknown): Response {
  const { body } = new ApiError(400, `The request cannot be understood: ${messageOf(error)}.`);
  return Response.json(body, { status: 400 });
}

/** Answers what is not HTTP, or comes too slowly, and closes the connection. */
function refuseConnection(error: Error, socket: Duplex): void {
  const answers: Readonly<Record<string, readonly [number, string]>> = {
    HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
    ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
  };
  const [status, phrase] = answers[codeOf(error) ?? ''] ?? [400, 'Bad Request'];
  if (codeOf(error) === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(toApiError(new ApiError(400, `${phrase}.`)).body);
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
