import { at } from '../base/arrays.js';
import { Random } from '../base/random.js';
import { constrained } from './constraints.js';
import type { Reading } from './reader.js';
import { keptTokens, largest, logSoftmax, type ScoredToken } from './sampling.js';
import type { Search } from './search.js';
import type { SearchTask } from './task.js';

/** A sequence with the sum of its tokens' log-probabilities. */
export interface Beam {
  readonly ids: readonly number[];
  readonly score: number;
}

/** A beam with one more token. */
export interface Continuation {
  readonly beam: Beam;
  readonly token: number;
  readonly score: number;
}

interface FinishedBeam {
  readonly ids: readonly number[];
  readonly score: number;
  readonly ended: boolean;
}

/** The end of text is one of two choices for each beam, so that enough others are left. */
export const CHOICES_PER_BEAM = 2;

/**
 * Beam search as `_beam_search` of transformers 4.57 does it, with its conditions to end. With
 * `doSample`, continuations are drawn without replacement instead of taking the best. What all beams
 * that may become the best begin with is settled, so that it can be shown while the rest is searched.
 */
export function* beamSearch(task: SearchTask): Search {
  const { prompt, endOfText, longest, options } = task;
  const { numBeams, lengthPenalty, earlyStopping } = options;
  const random = new Random(task.seed);
  let running: readonly Beam[] = [{ ids: prompt, score: 0 }];
  let finished: readonly FinishedBeam[] = [];
  let settled = prompt.length;
  for (let length = prompt.length; length < longest && running.length > 0; length++) {
    const sequences = running.map(({ ids }) => ({ ids, prompt: prompt.length }));
    // What becomes best is the best of the finished beams, or continues one of the running ones.
    const rivals = [...finished.slice(0, 1), ...running];
    settled = settledBy(rivals, settled);
    const readings = yield { sequences, settled: at(running, 0).ids.slice(prompt.length, settled) };
    const scored = running.flatMap((beam, row) => {
      return continuations(beam, chosenTokens(logProbabilities(at(readings, row), beam.ids, task)));
    });
    const best = (options.doSample ? drawn(scored, random) : scored.sort(byScore)).slice(
      0,
      CHOICES_PER_BEAM * numBeams,
    );
    const last = length + 1 === longest;
    const power = (length + 1 - prompt.length) ** lengthPenalty;
    const ending = best
      .slice(0, numBeams)
      .filter(({ token }) => last || token === endOfText)
      .map(({ beam, token, score }): FinishedBeam => {
        const ended = token === endOfText;
        return { ids: ended ? beam.ids : [...beam.ids, token], score: score / power, ended };
      });
    finished = [...finished, ...ending].sort(byScore).slice(0, numBeams);
    if (last) break;
    // Draws are not in the order of their scores, but the running beams are.
    running = best
      .filter(({ token }) => token !== endOfText)
      .sort(byScore)
      .slice(0, numBeams)
      .map(({ beam, token, score }) => ({ ids: [...beam.ids, token], score }));
    if (finished.length === numBeams && (earlyStopping === true || !canImprove(length + 1))) break;
  }
  return finished
    .slice(0, options.numReturnSequences)
    .map(({ ids, score, ended }) => ({ tokens: ids.slice(prompt.length), ended, score }));

  function chosenTokens(scores: Float32Array): readonly ScoredToken[] {
    return options.doSample
      ? keptTokens(scores, options, CHOICES_PER_BEAM)
      : largest(scores, CHOICES_PER_BEAM * numBeams);
  }

  /** Whether a running beam may become better than the worst finished one, as far as one can tell. */
  function canImprove(length: number): boolean {
    const optimistic = earlyStopping === 'never' && lengthPenalty > 0;
    const power = ((optimistic ? longest : length) - prompt.length) ** lengthPenalty;
    const possible = (running[0]?.score ?? -Infinity) / power;
    return possible > at(finished, finished.length - 1).score;
  }
}

/** How many tokens all beams begin with, if it is known to be at least so many. */
function settledBy(beams: readonly Pick<Beam, 'ids'>[], known: number): number {
  const first = at(beams, 0).ids;
  let common = known;
  while (common < first.length && beams.every(({ ids }) => ids[common] === first[common])) {
    common += 1;
  }
  return common;
}

/** Continues a beam; the sums are of 32-bit numbers, as PyTorch computes them. */
export function continuations(beam: Beam, tokens: readonly ScoredToken[]): Continuation[] {
  return tokens.map(({ token, score }) => ({
    beam,
    token,
    score: Math.fround(score + beam.score),
  }));
}

/** The larger score first. */
export function byScore(a: { readonly score: number }, b: { readonly score: number }): number {
  return b.score - a.score;
}

/** Continuations in the order of a draw without replacement by e^score (Gumbel's trick). */
function drawn(all: readonly Continuation[], random: Random): Continuation[] {
  return all
    .map((item) => ({ item, score: item.score - Math.log(-Math.log(1 - random.uniform())) }))
    .sort(byScore)
    .map(({ item }) => item);
}

/** The log-probabilities after one sequence, constrained. */
export function logProbabilities(
  reading: Reading,
  ids: readonly number[],
  { constraints }: Pick<SearchTask, 'constraints'>,
): Float32Array {
  return constrained(logSoftmax(reading.logits), ids, constraints);
}
