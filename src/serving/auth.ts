import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import type { Env } from './context.js';
import { ApiError } from './errors.js';

/** The keys that open the server. */
export class ApiKeys {
  readonly #digests: readonly Buffer[];

  constructor(keys: readonly string[]) {
    this.#digests = keys.map(digest);
  }

  /** Whether any key is needed. */
  get needed(): boolean {
    return this.#digests.length > 0;
  }

  /** Whether this is one of the keys, in a time that does not depend on how much of it is right. */
  accepts(key: string): boolean {
    const given = digest(key);
    let found = false;
    for (const known of this.#digests) found = timingSafeEqual(known, given) || found;
    return found;
  }
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** Lets through who shows a key as `Authorization: Bearer KEY`; notes the caller's name. */
export function requireKey(keys: ApiKeys): MiddlewareHandler<Env> {
  return async (context, next) => {
    if (keys.needed) {
      const header = context.req.header('authorization') ?? '';
      const [, key] = /^Bearer +(\S+) *$/i.exec(header) ?? [];
      if (key === undefined) {
        throw unauthorized(
          'You did not give an API key. Give it in the Authorization header: Authorization: Bearer KEY.',
        );
      }
      if (!keys.accepts(key)) throw unauthorized('Incorrect API key provided.');
      context.set('caller', `key:${digest(key).toString('hex').slice(0, 12)}`);
    }
    await next();
  };
}

function unauthorized(message: string): ApiError {
  return new ApiError(401, message, {
    code: 'invalid_api_key',
    headers: { 'www-authenticate': 'Bearer' },
  });
}
