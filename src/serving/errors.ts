import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { messageOf, UserError } from '../base/errors.js';

/** What went wrong with a request, as OpenAI's API tells it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: ContentfulStatusCode;
  readonly type: string;
  readonly code: string | null;
  /** The field of the request that is to blame. */
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: ContentfulStatusCode,
    message: string,
    details: {
      readonly type?: string;
      readonly code?: string;
      readonly param?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: details.cause });
    this.status = status;
    this.type = details.type ?? (status < 500 ? 'invalid_request_error' : 'server_error');
    this.code = details.code ?? null;
    this.param = details.param ?? null;
    this.headers = details.headers ?? {};
  }

  /** The body of the answer. */
  get body(): { readonly error: Readonly<Record<string, string | null>> } {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}

/** A field of the request that cannot be. */
export function badField(param: string, message: string, code?: string): ApiError {
  return new ApiError(400, message, { param, ...(code === undefined ? {} : { code }) });
}

/** A field that this server knows of and does not serve. */
export function unsupportedField(param: string, reason: string): ApiError {
  return badField(param, `Unsupported parameter: '${param}'. ${reason}`, 'unsupported_parameter');
}

/** The client has gone away; nobody reads the answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** Whatever was thrown as an error of the API; faults of ours tell no details. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ClientGone) return new ApiError(400, 'The client closed the connection.');
  if (error instanceof UserError) return fromUserError(error);
  return new ApiError(500, 'The server failed to answer; its log says why.', { cause: error });
}

/** The library names its options; the API's fields are the same in snake case. */
function fromUserError(error: UserError): ApiError {
  const [, option, reason] = /^Generation option (\w+)[^:]*: (.*)$/s.exec(error.message) ?? [];
  if (option === undefined || reason === undefined) {
    if (/^The prompt has \d+ tokens/.test(error.message)) {
      return badField('prompt', error.message, 'context_length_exceeded');
    }
    if (error.message.startsWith('The prompt ')) {
      return badField('prompt', error.message, 'invalid_value');
    }
    return new ApiError(400, messageOf(error), { cause: error });
  }
  const fields = reason.replace(/\b[a-z]+(?:[A-Z][a-z]*)+\b/g, fieldName);
  return badField(fieldName(option), `${fieldName(option)}: ${fields}`);
}

/** Options that the API calls otherwise than their name in snake case. */
const FIELDS: Readonly<Record<string, string>> = {
  max_new_tokens: 'max_tokens',
  min_new_tokens: 'min_tokens',
};

/** An option's name as the API's field. */
function fieldName(option: string): string {
  const name = option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return FIELDS[name] ?? name;
}
