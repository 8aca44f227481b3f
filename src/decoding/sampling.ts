import { at } from '../base/arrays.js';
import type { Random } from '../base/random.js';
import type { CompleteDecodingOptions } from './options.js';

/** More places than any vocabulary has; 32 bits and a place fit into a number's 53 bits. */
const PLACES = 2 ** 21;

/** In how many steps a table has the exponential function from one whole number to the next. */
const STEPS = 1024;

/** e^(−n / {@link STEPS}), as far as it shows in a sum of 32-bit numbers that has a one in it. */
const WEIGHTS = Float64Array.from({ length: 32 * STEPS }, (_, n) => Math.exp(-n / STEPS));

/** The index of the largest number; of equal ones, the first. */
export function argmax(values: Float32Array): number {
  let best = 0;
  let largest = -Infinity;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? NaN;
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
  return probabilities(keptTokens(logits, options));
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
  const all = topK === 0 && topP < 1 ? totalWeight(logits, temperature) : undefined;
  const floors = [
    ...(all === undefined ? [] : [nucleusFloor(all, topP, logits.length)]),
    ...(topK === 0 && minP > 0 ? [Math.log(minP)] : []),
  ];
  const places =
    topK > 0
      ? largestPlaces(logits, Math.max(topK, least))
      : placesFrom(logits, lowest(logits, temperature, floors, least));
  let kept = inOrder(logits, places).map((token): ScoredToken => ({
    token,
    score: at(logits, token) / temperature,
  }));
  if (topP < 1) kept = nucleus(kept, topP, least, all);
  if (minP > 0) kept = overMinimum(kept, minP, least);
  if (typicalP < 1) kept = typical(kept, typicalP, least);
  return kept;
}

/**
 * The likeliest tokens that together have the probability `topP` (Holtzman et al. 2019).
 *
 * @param total the weight of all that could be drawn, if these are not all
 */
function nucleus(
  tokens: readonly ScoredToken[],
  topP: number,
  least: number,
  total?: number,
): ScoredToken[] {
  let before = 0;
  const ranked = probabilities(tokens, total);
  return tokens.filter((_, rank) => {
    const kept = rank < least || before < topP;
    before += at(ranked, rank).probability;
    return kept;
  });
}

/**
 * The sum of e^(logit / temperature) as a multiple of the likeliest token's, to nine digits. By a table,
 * because it takes more time than all else that is done with a vocabulary's scores: eight times less so.
 */
function totalWeight(logits: Float32Array, temperature: number): number {
  const top = at(logits, argmax(logits));
  const scale = STEPS / temperature;
  let total = 0;
  for (const logit of logits) {
    const steps = (top - logit) * scale;
    if (!(steps < WEIGHTS.length)) continue;
    const whole = steps | 0;
    // The rest is at most a thousandth, for which two terms of the series do.
    const rest = (whole - steps) / STEPS;
    total += (WEIGHTS[whole] ?? 0) * (1 + rest + (rest * rest) / 2);
  }
  return total;
}

/**
 * How far behind the likeliest token's score no token is in the nucleus: were all tokens behind one as
 * likely as it, they would still have less than what the nucleus leaves out. So a few tokens need to be
 * put in order, not all.
 */
function nucleusFloor(total: number, topP: number, tokens: number): number {
  return Math.log((total * (1 - topP)) / tokens);
}

/** The least logit that may be kept where scores may be so far behind the likeliest one's. */
function lowest(
  logits: Float32Array,
  temperature: number,
  floors: readonly number[],
  least: number,
): number {
  if (floors.length === 0) return -Infinity;
  // A little lower, as numbers are rounded.
  const floor = at(logits, argmax(logits)) + temperature * (Math.max(...floors) - 1e-3);
  return Math.min(floor, ...largest(logits, least).map(({ score }) => score));
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

/**
 * Scores as probabilities, in the same order.
 *
 * @param tokens the likeliest first
 * @param total the weight of all, as a multiple of the likeliest token's
 */
function probabilities(tokens: readonly ScoredToken[], total?: number): Candidate[] {
  const largest = tokens[0]?.score ?? 0;
  const weights = tokens.map(({ score }) => Math.exp(score - largest));
  total ??= weights.reduce((sum, weight) => sum + weight, 0);
  return tokens.map(({ token }, rank) => ({ token, probability: at(weights, rank) / total }));
}

/** The `k` largest numbers that are not −∞ with their indices, largest first; of equal ones, the first. */
export function largest(values: Float32Array, k: number): ScoredToken[] {
  return inOrder(values, largestPlaces(values, k))
    .slice(0, k)
    .map((token) => ({ token, score: at(values, token) }));
}

/** The places of the `k` largest numbers, and of those that equal the last of them, in their order. */
function largestPlaces(values: Float32Array, k: number): number[] {
  // A heap of the k largest so far, the smallest of them on top.
  const heap = values.slice(0, Math.min(k, values.length)).sort();
  const places = [...heap.keys()];
  let smallest = heap[0] ?? -Infinity;
  for (let index = heap.length; index < values.length; index++) {
    const value = values[index] ?? NaN;
    if (!(value >= smallest)) continue;
    places.push(index);
    if (value === smallest) continue;
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
    smallest = at(heap, 0);
  }
  return places.filter((place) => at(values, place) >= smallest);
}

/** The places of the numbers from `threshold` on. */
function placesFrom(values: Float32Array, threshold: number): number[] {
  const places: number[] = [];
  for (let place = 0; place < values.length; place++) {
    if ((values[place] ?? NaN) >= threshold) places.push(place);
  }
  return places;
}

/** Places by their numbers, the largest first; of equal ones, the first. Those of −∞ are left out. */
function inOrder(values: Float32Array, places: readonly number[]): number[] {
  // Numbers alone are sorted many times faster than by a comparison: the bits of a float, turned so
  // that the largest is the smallest, and the place behind them.
  const count = places.length;
  const numbers = new Float32Array(count);
  for (let index = 0; index < count; index++) numbers[index] = at(values, at(places, index)) + 0;
  const patterns = new Int32Array(numbers.buffer);
  const keys = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    const pattern = at(patterns, index);
    const ascending = pattern < 0 ? ~pattern : pattern + 2 ** 31;
    keys[index] = (2 ** 32 - ascending) * PLACES + at(places, index);
  }
  const sorted: number[] = [];
  for (const key of keys.sort()) {
    const place = key % PLACES;
    if (values[place] !== -Infinity) sorted.push(place);
  }
  return sorted;
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
  const shift = top + Math.log(totalWeight(logits, 1));
  const scores = new Float32Array(logits.length);
  for (let token = 0; token < scores.length; token++)
    scores[token] = (logits[token] ?? NaN) - shift;
  return scores;
}
