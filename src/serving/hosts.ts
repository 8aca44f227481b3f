import { isIP } from 'node:net';
import type { MiddlewareHandler } from 'hono';
import type { Env } from './context.js';
import { ApiError } from './errors.js';

/** Whether a host to listen at can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (isIP(name) === 4) return name.startsWith('127.');
  return name === '::1' || name === 'localhost' || name.endsWith('.localhost');
}

/**
 * Refuses requests for other hosts than this machine. A page of somewhere else, whose name its
 * owner makes point to this machine, would otherwise be served like one of ours (DNS rebinding).
 *
 * @param allowed further names, such as a reverse proxy sends
 */
export function requireLoopbackHost(allowed: readonly string[]): MiddlewareHandler<Env> {
  const names = new Set(allowed.map((name) => name.toLowerCase()));
  return async (context, next) => {
    const header = context.req.header('host') ?? '';
    const name = header.replace(/:\d+$/, '').toLowerCase();
    if (!isLoopback(name) && !names.has(name) && !names.has(header.toLowerCase())) {
      throw new ApiError(
        403,
        'This server answers only to names of its own machine; allow another with --allowed-host.',
        { code: 'host_not_allowed' },
      );
    }
    await next();
  };
}
