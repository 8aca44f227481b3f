import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import {
  checkOptions,
  type GenerationOptions,
  type RerankerName,
  withDefaults,
} from '../decoding/index.js';
import { ApiError } from './errors.js';
import type { ModelPool } from './model-pool.js';

/** What the API's handlers work with. */
export interface Services {
  readonly pool: ModelPool;
  /** What the model is called; the first is its name, the others are taken for it too. */
  readonly modelNames: readonly [string, ...string[]];
  /** What the ranking models are called. */
  readonly rankerNames: readonly string[];
  /** The ways in which candidates can be ranked. */
  readonly rerankers: readonly RerankerName[];
  /** How the model's own files say that it replies. */
  readonly ownDefaults: GenerationOptions;
  /** How the server has it reply where a request does not say. */
  readonly defaults: GenerationOptions;
  readonly log: Logger;
  readonly logMessages: boolean;
  /** When the server started, in seconds since 1970. */
  readonly created: number;
}

/** Refuses a model that is not served. */
export function checkModel({ modelNames }: Services, name: string): void {
  if (modelNames.includes(name)) return;
  throw new ApiError(
    404,
    `The model '${name}' does not exist; this server has ${modelNames.join(', ')}.`,
    { code: 'model_not_found', param: 'model' },
  );
}

/**
 * A request's options with the server's own where it says nothing, checked as they will meet the model's
 * defaults.
 */
export function requestOptions(
  { defaults, ownDefaults }: Services,
  options: GenerationOptions,
): GenerationOptions {
  const all = withDefaults(defaults, options);
  checkOptions(all, ownDefaults);
  return all;
}

/** An id of an answer: `chatcmpl-…`. */
export function answerId(kind: string): string {
  return `${kind}-${randomUUID().replaceAll('-', '')}`;
}

/** Seconds since 1970. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}
