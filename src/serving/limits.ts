import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Env } from './context.js';
import { ApiError } from './errors.js';

/** Lets each caller through so many times a minute. */
export function limitRate(perMinute: number): MiddlewareHandler<Env> {
  const limiter = new RateLimiterMemory({ points: perMinute, duration: 60 });
  return async (context, next) => {
    const { msBeforeNext, remainingPoints } = await limiter
      .consume(context.get('caller'))
      .catch((refusal: unknown) => {
        if (refusal instanceof RateLimiterRes) throw tooMany(perMinute, refusal.msBeforeNext);
        throw refusal;
      });
    context.header('x-ratelimit-limit-requests', String(perMinute));
    context.header('x-ratelimit-remaining-requests', String(remainingPoints));
    context.header('x-ratelimit-reset-requests', `${Math.ceil(msBeforeNext / 1000)}s`);
    await next();
  };
}

function tooMany(perMinute: number, wait: number): ApiError {
  const seconds = Math.max(1, Math.ceil(wait / 1000));
  return new ApiError(
    429,
    `Rate limit of ${perMinute} requests a minute reached; try again in ${seconds} s.`,
    {
      type: 'requests',
      code: 'rate_limit_exceeded',
      headers: { 'retry-after': String(seconds) },
    },
  );
}

/** Refuses bodies larger than so many bytes, before they are read whole. */
export function limitBody(bytes: number): MiddlewareHandler<Env> {
  return bodyLimit({
    maxSize: bytes,
    onError: () => {
      throw new ApiError(413, `The request's body is larger than the ${bytes} bytes allowed.`, {
        code: 'request_too_large',
        headers: { connection: 'close' },
      });
    },
  });
}
