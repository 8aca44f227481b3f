import { at } from '../base/arrays.js';

/**
 * A training example: what the model reads and what it is to predict, one entry a token. It is
 * what the original's `_make_feature` (prepro.py) makes, less the padding.
 */
export interface Example {
  readonly inputIds: Int32Array;
  /** The token that comes next, where it is to be learnt; {@link IGNORED_LABEL} elsewhere. */
  readonly labels: Int32Array;
  /** The number of the turn each token belongs to, counted from 0. */
  readonly tokenTypeIds: Int32Array;
  /** The weight of the turn whose token is to be predicted; 0 where nothing is to be learnt. */
  readonly weights: Float32Array;
}

/** The label of tokens whose next token is not to be learnt (the original's `ignore_index`). */
export const IGNORED_LABEL = -1;

/** The turns of a dialogue as token ids, each with its weight: 0 is context only. */
export interface TokenizedDialogue {
  readonly turns: readonly (readonly number[])[];
  readonly weights: readonly number[];
}

/**
 * Joins turns by the end-of-text token and labels the tokens of every turn but the first whose
 * weight is not 0, its end-of-text included. What follows the last label is cut off.
 *
 * @returns undefined if nothing is left to learn.
 */
export function toExample(dialogue: TokenizedDialogue, endOfText: number): Example | undefined {
  const inputIds: number[] = [];
  const labels: number[] = [];
  const tokenTypeIds: number[] = [];
  const weights: number[] = [];
  let labelled = 0;
  for (const [turn, ids] of dialogue.turns.entries()) {
    const weight = turn === 0 ? 0 : at(dialogue.weights, turn);
    // A turn's first token is predicted from the end of the turn before it, so each turn after
    // the first begins, as input, with the end-of-text token before it.
    if (turn > 0) inputIds.push(endOfText);
    for (let index = 0; index < ids.length; index++) inputIds.push(at(ids, index));
    const predicted = turn === 0 ? ids.length : ids.length + 1;
    for (let index = 0; index < predicted; index++) {
      const next = index < ids.length ? at(ids, index) : endOfText;
      labels.push(weight === 0 ? IGNORED_LABEL : next);
      weights.push(weight);
      tokenTypeIds.push(turn);
    }
    if (weight !== 0) labelled = labels.length;
  }
  if (labelled === 0) return undefined;
  return {
    inputIds: Int32Array.from(inputIds.slice(0, labelled)),
    labels: Int32Array.from(labels.slice(0, labelled)),
    tokenTypeIds: Int32Array.from(tokenTypeIds.slice(0, labelled)),
    weights: Float32Array.from(weights.slice(0, labelled)),
  };
}

/** The number of tokens and of labels that {@link toExample} would make; 0 of both for none. */
export function exampleSize({ turns, weights }: TokenizedDialogue): {
  readonly tokens: number;
  readonly labels: number;
} {
  let [length, tokens, labels] = [0, 0, 0];
  for (const [turn, ids] of turns.entries()) {
    const predicted = turn === 0 ? ids.length : ids.length + 1;
    length += predicted;
    if (turn === 0 || at(weights, turn) === 0) continue;
    labels += predicted;
    tokens = length;
  }
  return { tokens, labels };
}

/** How many labels an example has. */
export function labelCount(example: Example): number {
  let count = 0;
  for (const label of example.labels) if (label !== IGNORED_LABEL) count += 1;
  return count;
}
