import { z } from 'zod';
import { range } from '../src/base/arrays.js';

/** How many tokens a prompt has, and how many new ones follow. */
export const PROMPT = 64;
export const NEW_TOKENS = 64;

/** After so many seconds of steps, no more are made; the median needs not all of them. */
export const LONGEST = 5;

/** The rate of the median of some seconds, each of which gave so many tokens. */
export function medianRate(tokens: number, seconds: readonly number[]): number {
  const sorted = [...seconds].sort((a, b) => a - b);
  return tokens / (sorted[Math.floor(sorted.length / 2)] ?? NaN);
}

/** The length of the prompt whose reading is measured. */
export const LONG_PROMPT = 512;

/** How many conversations are continued at a time. */
export const BATCHES = [1, 4, 16, 32] as const;

/** What each program of this benchmark prints as JSON: rates in tokens a second. */
export const ratesSchema = z.object({
  /** New tokens of all rows together in the median step after their prompts, by the number of rows. */
  steps: z.record(z.string(), z.number()),
  /** Of a long prompt. */
  prefill: z.number(),
});

export type Rates = z.infer<typeof ratesSchema>;

/** A prompt like no other. */
export function promptOf(length: number, row: number): number[] {
  return range(0, length).map((place) => (place * 37 + row * 1009 + 11) % 50_000);
}
