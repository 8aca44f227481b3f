import { at } from '../base/arrays.js';
import type { Random } from '../base/random.js';
import type { CompleteGenerationOptions } from './options.js';

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

/**
 * The tokens that may be chosen, likeliest first: temperature, then top-k, then top-p, in the
 * order and with the meaning of Hugging Face's logits processors. Tokens whose logits equal that
 * of the k-th stay in; the likeliest token always does.
 */
export function candidates(
  logits: Float32Array,
  { temperature, topK, topP }: Pick<CompleteGenerationOptions, 'temperature' | 'topK' | 'topP'>,
): readonly Candidate[] {
  const largest = at(logits, argmax(logits));
  const threshold = topK === 0 ? -Infinity : kthLargest(logits, topK);
  const kept: { token: number; probability: number }[] = [];
  let total = 0;
  for (let token = 0; token < logits.length; token++) {
    const logit = at(logits, token);
    if (logit < threshold || logit === -Infinity) continue;
    const probability = Math.exp((logit - largest) / temperature);
    total += probability;
    kept.push({ token, probability });
  }
  kept.sort((a, b) => b.probability - a.probability || a.token - b.token);
  const nucleus: Candidate[] = [];
  let mass = 0;
  for (const { token, probability } of kept) {
    if (nucleus.length > 0 && mass >= topP * total) break;
    nucleus.push({ token, probability });
    mass += probability;
  }
  return nucleus.map(({ token, probability }) => ({ token, probability: probability / mass }));
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
