import { setMaxListeners } from 'node:events';
import pLimit from 'p-limit';
import { Random } from '../base/random.js';
import type { DialogModel } from './model.js';
import { withDefaults } from './model-defaults.js';
import {
  type CompleteGenerationOptions,
  type GenerationOptions,
  generationOptions,
} from './options.js';
import type { ReplyCandidate, ReplySummary } from './reply.js';
import type { Intervention } from './safety.js';
import { freshSeed } from './task.js';

/** Rows of the decoder that {@link generateResponses} fills, unless said otherwise. */
export const DEFAULT_BATCH_SIZE = 16;

/** How many responses may wait for an earlier one, in multiples of those generated side by side. */
const WAITING = 16;

/** How {@link generateResponses} generates. */
export interface ResponseOptions extends GenerationOptions {
  /**
   * Rows of the decoder to fill: a response takes one, or as many as it has beams or candidates.
   * The model must have been loaded with as many `slots` as there are responses at a time
   * ({@link responsesAtOnce}).
   */
  readonly batchSize?: number;
  /** The number of the first context, from 0, where these are a part of a longer list. */
  readonly firstContext?: number;
  /** Ends generation; responses that are not whole are not yielded. */
  readonly signal?: AbortSignal;
}

/** What {@link generateResponses} yields for a context. */
export interface GeneratedResponse {
  /** The context's number, from 0 (or {@link ResponseOptions.firstContext}). */
  readonly index: number;
  readonly context: readonly string[];
  readonly response: string;
  /** All replies that were considered last, the best first. */
  readonly candidates: readonly ReplyCandidate[];
  /** What the safety layer did. */
  readonly interventions: readonly Intervention[];
  readonly summary: ReplySummary;
}

/** How many responses fit side by side into `batchSize` rows. */
export function responsesAtOnce(
  options: GenerationOptions,
  batchSize: number = DEFAULT_BATCH_SIZE,
): number {
  return Math.max(1, Math.floor(batchSize / rowsOf(generationOptions(options))));
}

function rowsOf(options: CompleteGenerationOptions): number {
  const { numBeams, numReturnSequences, penaltyAlpha, topK } = options;
  return Math.max(numBeams, numReturnSequences, penaltyAlpha > 0 ? topK : 1);
}

/** The seed of the context with number `index`: neighbours' and other seeds' draws differ. */
export function seedOfContext(seed: number, index: number): number {
  return (new Random(seed).uint32() + index) % 2 ** 32;
}

/**
 * Responses to many contexts, in their order. They are generated side by side: where one is done,
 * the next takes its row at once. A response depends on its context, its number and the seed, not
 * on its neighbours (for this, load the model with `exact: true`).
 *
 * @throws UserError if an option cannot be, or a context is empty.
 */
export async function* generateResponses(
  model: DialogModel,
  contexts: Iterable<readonly string[]>,
  options: ResponseOptions = {},
): AsyncGenerator<GeneratedResponse, void, undefined> {
  const { batchSize, firstContext = 0, signal: outer, ...generation } = options;
  const used = withDefaults(model.defaults, generation);
  const atOnce = responsesAtOnce(used, batchSize);
  const { doSample } = generationOptions(used);
  const seed = generation.seed ?? freshSeed();
  const leaving = new AbortController();
  const signal = outer === undefined ? leaving.signal : AbortSignal.any([outer, leaving.signal]);
  // Each response under way listens.
  setMaxListeners(0, signal);
  const limit = pLimit(atOnce);
  const waiting: Promise<GeneratedResponse | undefined>[] = [];
  const remaining = contexts[Symbol.iterator]();
  let index = firstContext;
  const startNext = (): boolean => {
    const next = remaining.next();
    if (next.done === true) return false;
    const place = index++;
    const own = doSample ? { ...generation, seed: seedOfContext(seed, place) } : generation;
    const response = limit(() => respond(model, place, next.value, own, signal));
    // Its failure is thrown when its turn comes.
    response.catch(() => undefined);
    waiting.push(response);
    return true;
  };
  try {
    for (;;) {
      while (waiting.length < atOnce * WAITING && startNext());
      const first = waiting.shift();
      if (first === undefined) return;
      const response = await first;
      if (response === undefined) return;
      yield response;
    }
  } finally {
    leaving.abort();
  }
}

/** One response; undefined where the signal ended it. */
async function respond(
  model: DialogModel,
  index: number,
  context: readonly string[],
  options: GenerationOptions,
  signal: AbortSignal,
): Promise<GeneratedResponse | undefined> {
  if (signal.aborted) return undefined;
  let response = '';
  let candidates: readonly ReplyCandidate[] = [];
  let summary: ReplySummary | undefined;
  const interventions: Intervention[] = [];
  const pieces = model.reply(context, {
    ...options,
    signal,
    onCandidates: (all) => {
      candidates = all;
    },
    onIntervention: (intervention) => {
      interventions.push(intervention);
    },
    onSummary: (told) => {
      summary = told;
    },
  });
  for await (const piece of pieces) response += piece;
  if (summary === undefined) return undefined;
  return { index, context, response, candidates, interventions, summary };
}
