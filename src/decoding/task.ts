import { at } from '../base/arrays.js';
import { type Constraint, constraintsOf } from './constraints.js';
import { type CompleteDecodingOptions, longestSequence } from './options.js';
import { largest, logSoftmax, type ScoredToken } from './sampling.js';

/** A token that was chosen. */
export interface ChosenToken {
  readonly token: number;
  /** The logarithm of its probability by the model alone, before options and constraints. */
  readonly logprob?: number;
  /** The likeliest tokens in its place, the likeliest first. */
  readonly likeliest?: readonly ScoredToken[];
}

/** Who is told of the tokens of a search for one sequence, as they are chosen. */
export interface TokenReport {
  /** How many of the likeliest tokens to tell; without it, no probabilities are computed. */
  readonly logprobs?: number | undefined;
  readonly onToken: (chosen: ChosenToken) => void;
}

/** Tells of a token that was chosen by these logits: `[vocab_size]`. */
export function reportToken(
  { logprobs, onToken }: TokenReport,
  logits: Float32Array,
  token: number,
): void {
  if (logprobs === undefined) {
    onToken({ token });
    return;
  }
  const scores = logSoftmax(logits);
  onToken({
    token,
    logprob: at(scores, token),
    likeliest: logprobs === 0 ? [] : largest(scores, logprobs),
  });
}

/** What a search is to do. */
export interface SearchTask {
  /** At least one token. */
  readonly prompt: readonly number[];
  readonly endOfText: number;
  /** The most tokens of a sequence, the prompt included. */
  readonly longest: number;
  readonly options: CompleteDecodingOptions;
  readonly constraints: readonly Constraint[];
  /** Where the drawing of random numbers starts. */
  readonly seed: number;
  /** Who is told of the tokens of the only sequence; searches with beams tell nobody. */
  readonly report?: TokenReport;
}

/** A number that nobody asked for, for replies without a seed. */
export function freshSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}

/**
 * A task of a prompt.
 *
 * @param positions the most tokens that the model can read
 * @param more constraints besides those of the options
 * @param report who is told of the tokens as they are chosen
 */
export function searchTask(
  prompt: readonly number[],
  endOfText: number,
  positions: number,
  options: CompleteDecodingOptions,
  more: readonly Constraint[] = [],
  report?: TokenReport,
): SearchTask {
  return {
    prompt,
    endOfText,
    longest: longestSequence(options, prompt.length, positions),
    options,
    constraints: [...constraintsOf(options, prompt.length, endOfText), ...more],
    seed: options.seed ?? freshSeed(),
    ...(report === undefined ? {} : { report }),
  };
}
