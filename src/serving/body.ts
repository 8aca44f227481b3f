import type { Context } from 'hono';
import { z } from 'zod';
import type { Env } from './context.js';
import { ApiError, badField } from './errors.js';

/**
 * A request's JSON, checked. Fields that are null count as absent, as OpenAI's clients send them.
 *
 * @throws ApiError naming the first field that cannot be.
 */
export async function readBody<T>(context: Context<Env>, schema: z.ZodType<T>): Promise<T> {
  // A page of another site can send text unasked, but JSON only after a question that we refuse.
  const type = context.req.header('content-type') ?? '';
  if (!/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new ApiError(415, 'Send JSON, with the header Content-Type: application/json.', {
      code: 'unsupported_media_type',
    });
  }
  const result = schema.safeParse(withoutNulls(parsed(await context.req.text())));
  if (result.success) return result.data;
  throw fieldError(result.error);
}

function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    throw new ApiError(400, 'The body is not valid JSON.', { code: 'invalid_json' });
  }
}

function withoutNulls(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

function fieldError({ issues: [issue] }: z.ZodError): ApiError {
  if (issue === undefined) return new ApiError(400, 'The body is not as it should be.');
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => pathText([...issue.path, key]));
    return badField(
      names[0] ?? '',
      `Unrecognized request argument supplied: ${names.join(', ')}.`,
      'unknown_parameter',
    );
  }
  const path = pathText(issue.path);
  if (
    path !== '' &&
    issue.code === 'invalid_type' &&
    issue.message.endsWith('received undefined')
  ) {
    return badField(path, `Missing required parameter: '${path}'.`, 'missing_required_parameter');
  }
  return path === ''
    ? new ApiError(400, `The body must be a JSON object: ${issue.message}.`)
    : badField(path, `Invalid value for '${path}': ${issue.message}.`, 'invalid_value');
}

/** A place in a body as OpenAI writes it: `messages[0].content`. */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}
