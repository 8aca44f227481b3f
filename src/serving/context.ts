import type { HttpBindings } from '@hono/node-server';
import type { Hono, Handler } from 'hono';
import { ApiError } from './errors.js';
import type { RequestScope } from './scope.js';

/** What handlers find in a request's context. */
export interface Env {
  readonly Bindings: HttpBindings;
  readonly Variables: {
    /** Who asks: a key's digest or an address. */
    caller: string;
    /** The life of the request. */
    scope: RequestScope;
  };
}

/** The server's application. */
export type App = Hono<Env>;

/** Adds a path; methods that it does not have are answered with 405. */
export function addPath(
  app: App,
  path: string,
  handlers: Readonly<Partial<Record<'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', Handler<Env>>>>,
): void {
  const methods = Object.keys(handlers);
  for (const [method, handler] of Object.entries(handlers)) app.on(method, path, handler);
  const allow = (methods.includes('GET') ? ['HEAD', ...methods] : methods).sort().join(', ');
  app.all(path, ({ req: { method } }) => {
    throw new ApiError(405, `Not allowed to ${method} on this path; it takes ${allow}.`, {
      code: 'method_not_allowed',
      headers: { allow },
    });
  });
}
