import { type Constraint, constraintsOf } from './constraints.js';
import { type CompleteDecodingOptions, longestSequence } from './options.js';

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
 */
export function searchTask(
  prompt: readonly number[],
  endOfText: number,
  positions: number,
  options: CompleteDecodingOptions,
  more: readonly Constraint[] = [],
): SearchTask {
  return {
    prompt,
    endOfText,
    longest: longestSequence(options, prompt.length, positions),
    options,
    constraints: [...constraintsOf(options, prompt.length, endOfText), ...more],
    seed: options.seed ?? freshSeed(),
  };
}
