import { logSoftmax, negate, split, type Tensor } from '../graph/index.js';
import { Parameters } from '../model/index.js';
import type { RankingPair } from './ranking-pairs.js';

/** What training on pairs changes, or the gradients of it. */
export interface PairWeights {
  readonly parameters: Parameters;
  /** The head of a ranker, `[n_embd]`; a language model has none. */
  readonly score?: Float32Array;
}

/** What computes the losses of pairs and, if made for it, gradients. */
export interface PairModel {
  /** The most tokens of pairs that should be computed together. */
  readonly tokensAtOnce: number;
  /** How many batches dropout masks have been drawn for. */
  readonly draws: number;
  /** The loss of each pair, without dropout; below ln 2 where the better response is ahead. */
  losses(pairs: readonly RankingPair[]): Promise<Float32Array>;
  /**
   * Adds the gradient of `scale · Σ losses` to `gradients`.
   *
   * @returns the loss of each pair
   */
  backward(
    pairs: readonly RankingPair[],
    scale: number,
    gradients: PairWeights,
  ): Promise<Float32Array>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The name of the output with the loss of each pair. */
export const PAIR_LOSSES = 'pair_losses';

/**
 * The loss of each pair, `−log(eᵇ / (eᵇ + eʷ))` of both scores, also put out as {@link PAIR_LOSSES}.
 *
 * @param scores `[pairs, 2]`, the better one's first
 */
export function pairLosses(scores: Tensor): Tensor {
  const [better] = split(logSoftmax(scores), 1, 2);
  if (better === undefined) throw new Error('A split gives two parts.');
  const losses = negate(better);
  scores.graph.output(PAIR_LOSSES, losses);
  return losses;
}

/** Zeros in the place of each weight. */
export function emptyWeights({ parameters, score }: PairWeights): PairWeights {
  return {
    parameters: new Parameters(parameters.config),
    ...(score === undefined ? {} : { score: new Float32Array(score.length) }),
  };
}

/** All numbers, in one list or two. */
export function buffersOf({ parameters, score }: PairWeights): readonly Float32Array[] {
  return score === undefined ? [parameters.buffer] : [parameters.buffer, score];
}

/** Cuts pairs, in order, into lists of at most `tokens` tokens each, or of one longer pair. */
export function cutByTokens(pairs: readonly RankingPair[], tokens: number): RankingPair[][] {
  const parts: RankingPair[][] = [];
  let total = Infinity;
  for (const pair of pairs) {
    const length = pair.better.length + pair.worse.length;
    total += length;
    if (total > tokens) {
      parts.push([]);
      total = length;
    }
    parts.at(-1)?.push(pair);
  }
  return parts;
}
