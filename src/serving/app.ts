import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { matchedRoutes } from 'hono/route';
import { secureHeaders } from 'hono/secure-headers';
import { type ApiKeys, requireKey } from './auth.js';
import { chatCompletions } from './chat-completions.js';
import { completions } from './completions.js';
import { addPath, type App, type Env } from './context.js';
import { ApiError, ClientGone, toApiError } from './errors.js';
import { noteError } from './event-stream.js';
import { requireLoopbackHost } from './hosts.js';
import { limitBody, limitRate } from './limits.js';
import type { Metrics } from './metrics.js';
import { listModels, showModel } from './models.js';
import { openApiDocument } from './openapi.js';
import { rerank } from './rerank.js';
import { RequestScope } from './scope.js';
import type { Services } from './services.js';

/** After its time, an answer that nobody reads is cut; what is under way has this long (ms). */
const GRACE = 1000;

/** How long the server sends nothing more of requests that nobody waits for, as nginx tells it. */
const CLIENT_CLOSED = 499;

/** Adds routes of its own to the server, such as the web page's. */
export type Extension = (app: App, services: Services) => void;

/** What the application is made of. */
export interface AppOptions {
  readonly services: Services;
  readonly metrics: Metrics;
  readonly keys: ApiKeys;
  /** All requests under way. */
  readonly scopes: Set<RequestScope>;
  /** Whether the server takes no new requests because it is going down. */
  readonly isDraining: () => boolean;
  /** Names by which the server may be asked besides loopback; without it, by any. */
  readonly allowedHosts?: readonly string[];
  readonly corsOrigins: readonly string[];
  /** Requests a minute of one caller; without it, any number. */
  readonly rateLimit?: number;
  readonly maxBody: number;
  /** Seconds. */
  readonly requestTimeout: number;
  /** Whether a proxy in front tells who asks, in `X-Forwarded-For`. */
  readonly trustProxy: boolean;
  readonly extensions: readonly Extension[];
}

/** Paths that tell of the server itself and are answered to the end. */
const ABOUT = new Set(['/health', '/ready', '/metrics', '/openapi.json']);

/** The server's application: the API, what tells of the server, and the extensions. */
export function createApp(options: AppOptions): App {
  const { services, keys, corsOrigins, rateLimit, allowedHosts } = options;
  const app: App = new Hono<Env>();
  app.onError((error, context) => {
    noteError(error, context.get('scope'), services.log);
    const { status, body, headers } = toApiError(error);
    return context.json(body, status, headers);
  });
  app.notFound((context) => {
    const { method, path } = context.req;
    const { body } = new ApiError(404, `Unknown request URL: ${method} ${path}.`, {
      code: 'unknown_url',
    });
    return context.json(body, 404);
  });
  keepScopes(app, options);
  // The server speaks HTTP; whether names are to be asked by HTTPS alone is for the proxy before it.
  app.use(secureHeaders({ strictTransportSecurity: false }));
  if (allowedHosts !== undefined) app.use(requireLoopbackHost(allowedHosts));
  if (corsOrigins.length > 0) {
    const origin = corsOrigins.includes('*') ? '*' : [...corsOrigins];
    app.use(cors({ origin, exposeHeaders: ['x-request-id', 'retry-after'], maxAge: 600 }));
  }
  app.use(async ({ req: { path } }, next) => {
    if (options.isDraining() && !ABOUT.has(path)) {
      throw new ApiError(503, 'The server is going down; try again.', {
        code: 'shutting_down',
        headers: { connection: 'close', 'retry-after': '1' },
      });
    }
    await next();
  });
  for (const path of ['/v1/*', '/api/*', '/metrics']) app.use(path, requireKey(keys));
  if (rateLimit !== undefined) {
    const limit = limitRate(rateLimit);
    for (const path of ['/v1/*', '/api/conversations/:id/replies']) app.use(path, limit);
  }
  app.use(limitBody(options.maxBody));

  addPath(app, '/v1/chat/completions', { POST: chatCompletions(services) });
  addPath(app, '/v1/completions', { POST: completions(services) });
  addPath(app, '/v1/rerank', { POST: rerank(services) });
  addPath(app, '/v1/models', { GET: listModels(services) });
  addPath(app, '/v1/models/:id{.+}', { GET: showModel(services) });
  addAbout(app, options);
  for (const extend of options.extensions) extend(app, services);
  return app;
}

/** Gives each request its scope, and counts and logs it when its answer has been sent. */
function keepScopes(app: App, { services, metrics, scopes, ...options }: AppOptions): void {
  app.use(async (context, next) => {
    const { incoming, outgoing } = context.env;
    const scope = new RequestScope(scopes, options.requestTimeout);
    const forwarded = options.trustProxy ? context.req.header('x-forwarded-for') : undefined;
    const address = forwarded?.split(',').at(-1)?.trim() ?? incoming.socket.remoteAddress;
    context.set('scope', scope);
    context.set('caller', `address:${address ?? ''}`);
    context.header('x-request-id', scope.id);
    let route = 'unknown';
    outgoing.once('close', () => {
      const gone = !outgoing.writableFinished;
      if (gone) scope.leave();
      const { id, seconds, notes } = scope;
      const status = gone ? CLIENT_CLOSED : outgoing.statusCode;
      const { method } = context.req;
      void scope.end().then(() => {
        metrics.count({ method, route, status, seconds, notes });
        const line = { request: id, method, route, status, seconds: round(seconds), ...notes };
        services.log[ABOUT.has(route) ? 'debug' : 'info'](line, 'answered');
      });
    });
    scope.signal.addEventListener('abort', () => {
      if (scope.signal.reason instanceof ClientGone) return;
      setTimeout(() => outgoing.destroy(), GRACE).unref();
    });
    await next();
    const path = matchedRoutes(context).at(-1)?.path ?? '';
    route = path.endsWith('*') ? 'unknown' : path;
  });
}

function addAbout(app: App, { services, metrics, isDraining }: AppOptions): void {
  const { pool } = services;
  const document = openApiDocument();
  addPath(app, '/health', {
    GET: (context) => {
      const status = isDraining() ? 'draining' : pool.ready ? 'ok' : 'restarting';
      const { slots, busy, waiting } = pool;
      return context.json({ status, slots, busy, waiting });
    },
  });
  addPath(app, '/ready', {
    GET: (context) => {
      const ready = pool.ready && !isDraining();
      return context.json({ ready }, ready ? 200 : 503);
    },
  });
  addPath(app, '/metrics', {
    GET: async (context) =>
      context.body(await metrics.text(), 200, { 'content-type': metrics.contentType }),
  });
  addPath(app, '/openapi.json', { GET: (context) => context.json(document) });
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
