import { at, range } from '../base/arrays.js';
import {
  type Beam,
  byScore,
  CHOICES_PER_BEAM,
  continuations,
  logProbabilities,
} from './beam-search.js';
import { largest } from './sampling.js';
import type { Generation, Search } from './search.js';
import type { SearchTask } from './task.js';

/** A finished sequence with its score over its length's power. */
interface Hypothesis {
  readonly tokens: readonly number[];
  readonly ended: boolean;
  readonly score: number;
}

/** One group of beams. */
interface Group {
  beams: readonly Beam[];
  hypotheses: readonly Hypothesis[];
  done: boolean;
}

/**
 * Diverse beam search (Vijayakumar et al. 2016) as `_group_beam_search` and `BeamSearchScorer` of
 * transformers before 4.57 do it: groups take turns, and a token loses `diversityPenalty` for each
 * beam of an earlier group that took it at this step. A group that is done counts as taking the
 * end of text.
 */
export function* groupBeamSearch(task: SearchTask): Search {
  const { prompt, endOfText, longest, options } = task;
  const size = options.numBeams / options.numBeamGroups;
  const groups = range(0, options.numBeamGroups).map((): Group => ({
    beams: [{ ids: prompt, score: 0 }],
    hypotheses: [],
    done: false,
  }));
  for (let length = prompt.length; length < longest; length++) {
    const active = groups.filter(({ done }) => !done);
    if (active.length === 0) break;
    const beams = length === prompt.length ? at(active, 0).beams : active.flatMap((g) => g.beams);
    const sequences = beams.map(({ ids }) => ({ ids, prompt: prompt.length }));
    const readings = yield { sequences, settled: [] };
    const readingOf = new Map(beams.map((beam, row) => [beam.ids, at(readings, row)]));
    const taken = new Map<number, number>();
    for (const group of groups) {
      if (group.done) {
        taken.set(endOfText, (taken.get(endOfText) ?? 0) + size);
        continue;
      }
      const scored = group.beams.flatMap((beam) => {
        const reading = readingOf.get(beam.ids);
        if (reading === undefined) throw new Error('A beam was not read.');
        // Before the constraints: a repetition's penalty is taken of what is left.
        const diversity = (scores: Float32Array) => {
          for (const [token, times] of taken) {
            scores[token] = at(scores, token) - options.diversityPenalty * times;
          }
        };
        const constraints = [diversity, ...task.constraints];
        const scores = logProbabilities(reading, beam.ids, { constraints });
        return continuations(beam, largest(scores, CHOICES_PER_BEAM * size));
      });
      const best = scored.sort(byScore).slice(0, CHOICES_PER_BEAM * size);
      advance(group, best, length + 1);
      for (const { ids } of group.beams) {
        const token = at(ids, ids.length - 1);
        taken.set(token, (taken.get(token) ?? 0) + 1);
      }
    }
  }
  for (const group of groups) {
    if (group.done) continue;
    for (const { ids, score } of group.beams) {
      add(group, { tokens: ids.slice(prompt.length), ended: false }, score, ids.length);
    }
  }
  // Of equal scores, the later one comes first.
  return groups
    .flatMap(({ hypotheses }) => hypotheses)
    .reverse()
    .sort(byScore)
    .slice(0, options.numReturnSequences)
    .map(({ tokens, ended, score }): Generation => ({ tokens, ended, score }));

  function advance(
    group: Group,
    best: readonly { readonly beam: Beam; readonly token: number; readonly score: number }[],
    length: number,
  ): void {
    const next: Beam[] = [];
    for (const [rank, { beam, token, score }] of best.entries()) {
      if (token !== endOfText) next.push({ ids: [...beam.ids, token], score });
      else if (rank < size) {
        add(group, { tokens: beam.ids.slice(prompt.length), ended: true }, score, length);
      }
      if (next.length === size) break;
    }
    group.beams = next;
    group.done = next.length === 0 || isDone(group, best[0]?.score ?? -Infinity, length);
  }

  function add(
    group: Group,
    { tokens, ended }: Omit<Hypothesis, 'score'>,
    sum: number,
    length: number,
  ): void {
    const score = sum / (length - prompt.length) ** options.lengthPenalty;
    const hypotheses = [...group.hypotheses, { tokens, ended, score }];
    if (hypotheses.length > size) {
      const worst = Math.min(...hypotheses.map((hypothesis) => hypothesis.score));
      hypotheses.splice(
        hypotheses.findIndex((hypothesis) => hypothesis.score === worst),
        1,
      );
    }
    group.hypotheses = hypotheses;
  }

  function isDone({ hypotheses }: Group, best: number, length: number): boolean {
    if (hypotheses.length < size) return false;
    if (options.earlyStopping === true) return true;
    const optimistic = options.earlyStopping === 'never' && options.lengthPenalty > 0;
    const power = ((optimistic ? longest : length) - prompt.length) ** options.lengthPenalty;
    return Math.min(...hypotheses.map(({ score }) => score)) >= best / power;
  }
}
