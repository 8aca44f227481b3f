import { at } from '../base/arrays.js';
import type { Random } from '../base/random.js';
import type { CompleteDecodingOptions } from './options.js';

/** The index of the largest number; of equal ones, the first. */
export function argmax(values: Float32Array): number {
  let best = 0;
  let largest = -Infinity;
  for (let index = 0; index < values.length; index++) {
    const value = at(values, index);
    if (value > largest) {
      largest = value;
      best = index;
    }
  }
  return best;
}

/** A token that may be chosen, with its probability. */
export interface Candidate {
  readonly token: number;
  readonly probability: number;
}

/** A token with its score. */
export interface ScoredToken {
  readonly token: number;
  readonly score: number;
}

/** The options that say which tokens may be drawn. */
export type SamplingOptions = Pick<CompleteDecodingOptions, 'temperature' | 'topK' | 'topP'> &
  Partial<Pick<CompleteDecodingOptions, 'minP' | 'typicalP'>>;

/**
 * The tokens that may be chosen, likeliest first: temperature, then top-k, top-p, min-p and
 * typical-p, in the order and with the meaning of Hugging Face's logits processors. Tokens whose
 * logits equal that of the k-th stay in; the likeliest token does, except under typical-p, which
 * keeps the most typical one instead.
 */
export function candidates(logits: Float32Array, options: SamplingOptions): readonly Candidate[] {
  return probabilities(keptTokens(logits, options)).sort(byProbability);
}

/**
 * The tokens that may be drawn with their logits divided by the temperature, likeliest first.
 *
 * @param least how many tokens stay whatever the options say (Hugging Face's `min_tokens_to_keep`)
 */
export function keptTokens(
  logits: Float32Array,
  { temperature, topK, topP, minP = 0, typicalP = 1 }: SamplingOptions,
  least = 1,
): ScoredToken[] {
  const threshold = topK === 0 ? -Infinity : kthLargest(logits, Math.max(topK, least));
  const tokens: ScoredToken[] = [];
  for (let token = 0; token < logits.length; token++) {
    const logit = at(logits, token);
    if (logit < threshold || logit === -Infinity) continue;
    tokens.push({ token, score: logit / temperature });
  }
  tokens.sort((a, b) => b.score - a.score || a.token - b.token);
  let kept = tokens;
  if (topP < 1) kept = nucleus(kept, topP, least);
  if (minP > 0) kept = overMinimum(kept, minP, least);
  if (typicalP < 1) kept = typical(kept, typicalP, least);
  return kept;
}

/** The likeliest tokens that together have the probability `topP` (Holtzman et al. 2019). */
function nucleus(tokens: readonly ScoredToken[], topP: number, least: number): ScoredToken[] {
  let before = 0;
  const ranked = probabilities(tokens);
  return tokens.filter((_, rank) => {
    const kept = rank < least || before < topP;
    before += at(ranked, rank).probability;
    return kept;
  });
}

function overMinimum(tokens: readonly ScoredToken[], minP: number, least: number): ScoredToken[] {
  const largest = tokens[0]?.score ?? 0;
  return tokens.filter(({ score }, rank) => rank < least || Math.exp(score - largest) >= minP);
}

/** The tokens whose information is nearest to the distribution's entropy (Meister et al. 2022). */
function typical(tokens: readonly ScoredToken[], mass: number, least: number): ScoredToken[] {
  const ranked = probabilities(tokens);
  const information = ranked.map(({ probability }) => -Math.log(probability));
  const entropy = ranked.reduce(
    (total, { probability }, rank) =>
      probability === 0 ? total : total + probability * at(information, rank),
    0,
  );
  const distance = information.map((value) => Math.abs(value - entropy));
  const order = [...tokens.keys()].sort((a, b) => at(distance, a) - at(distance, b) || a - b);
  let cumulative = 0;
  let last = 0;
  for (const rank of order) {
    cumulative += at(ranked, rank).probability;
    if (cumulative < mass) last += 1;
  }
  const limit = at(distance, at(order, Math.min(last, order.length - 1)));
  const always = new Set(order.slice(0, least));
  return tokens.filter((_, rank) => always.has(rank) || at(distance, rank) <= limit);
}

/** Scores as probabilities, in the same order. */
function probabilities(tokens: readonly ScoredToken[]): Candidate[] {
  const largest = Math.max(...tokens.map(({ score }) => score));
  const weights = tokens.map(({ score }) => Math.exp(score - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return tokens.map(({ token }, rank) => ({ token, probability: at(weights, rank) / total }));
}

function byProbability(a: Candidate, b: Candidate): number {
  return b.probability - a.probability || a.token - b.token;
}

/** The `k` largest numbers that are not −∞ with their indices, largest first; of equal ones, the first. */
export function largest(values: Float32Array, k: number): ScoredToken[] {
  const threshold = kthLargest(values, k);
  const found: ScoredToken[] = [];
  for (let token = 0; token < values.length; token++) {
    const score = at(values, token);
    if (score >= threshold && score !== -Infinity) found.push({ token, score });
  }
  return found.sort((a, b) => b.score - a.score || a.token - b.token).slice(0, k);
}

/** The k-th largest number; the smallest if there are fewer. */
function kthLargest(values: Float32Array, k: number): number {
  // A heap of the k largest so far, the smallest of them on top.
  const heap = values.slice(0, Math.min(k, values.length)).sort();
  for (let index = heap.length; index < values.length; index++) {
    const value = at(values, index);
    if (value <= at(heap, 0)) continue;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const smaller = right < heap.length && at(heap, right) < at(heap, left) ? right : left;
      if (at(heap, smaller) >= value) break;
      heap[place] = at(heap, smaller);
      place = smaller;
    }
    heap[place] = value;
  }
  return at(heap, 0);
}

/** Draws one of the candidates by their probabilities. */
export function draw(choices: readonly Candidate[], random: Random): number {
  let left = random.uniform();
  for (const { token, probability } of choices) {
    left -= probability;
    if (left < 0) return token;
  }
  return at(choices, choices.length - 1).token;
}

/** The logarithm of the softmax, in 32-bit numbers as PyTorch stores it. */
export function logSoftmax(logits: Float32Array): Float32Array {
  const top = at(logits, argmax(logits));
  let total = 0;
  for (let token = 0; token < logits.length; token++) total += Math.exp(at(logits, token) - top);
  const shift = top + Math.log(total);
  return logits.map((logit) => logit - shift);
}
