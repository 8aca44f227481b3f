import { at } from '../base/arrays.js';
import { constrained } from './constraints.js';
import { largest, logSoftmax } from './sampling.js';
import { onlyReading, type Search } from './search.js';
import { reportToken, type SearchTask } from './task.js';

/**
 * Contrastive search (Su et al. 2022) as `_contrastive_search` of transformers before 4.57 does
 * it: of the `topK` likeliest tokens, the one with the best
 * `(1 − α) · probability − α · largest cosine with an earlier token's state`.
 */
export function* contrastiveSearch(task: SearchTask): Search {
  const { prompt, endOfText, longest, options, constraints, report } = task;
  const { penaltyAlpha: alpha } = options;
  const ids = [...prompt];
  if (longest <= prompt.length) return [{ tokens: [], ended: false }];
  const opening = [{ ids: prompt, prompt: prompt.length, states: true }];
  let { logits, states } = onlyReading(yield { sequences: opening, settled: [] });
  const width = states.length / prompt.length;
  const context = prompt.map((_, place) =>
    unit(states.subarray(place * width, (place + 1) * width)),
  );
  while (ids.length < longest) {
    const scores = logSoftmax(constrained(logits, ids, constraints));
    const choices = largest(scores, options.topK);
    // Reading on takes their memory.
    const reported = report === undefined ? undefined : logits.slice();
    const readings = yield {
      sequences: choices.map(({ token }) => ({ ids: [...ids, token], prompt: prompt.length })),
      settled: ids.slice(prompt.length),
    };
    let best = 0;
    let highest = -Infinity;
    const directions = readings.map((reading) => unit(reading.states));
    for (const [index, choice] of choices.entries()) {
      const direction = at(directions, index);
      const likeness = Math.max(...context.map((earlier) => dot(earlier, direction)));
      const score = (1 - alpha) * Math.exp(choice.score) - alpha * likeness;
      if (score > highest) {
        highest = score;
        best = index;
      }
    }
    const { token } = at(choices, best);
    if (token === endOfText) return [{ tokens: ids.slice(prompt.length), ended: true }];
    ids.push(token);
    if (report !== undefined && reported !== undefined) reportToken(report, reported, token);
    context.push(at(directions, best));
    ({ logits, states } = at(readings, best));
  }
  return [{ tokens: ids.slice(prompt.length), ended: false }];
}

/** A vector of length 1 in the same direction. */
function unit(vector: Float32Array): Float32Array {
  const norm = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / norm);
}

function dot(a: Float32Array, b: Float32Array): number {
  let total = 0;
  for (let index = 0; index < a.length; index++) total += at(a, index) * at(b, index);
  return total;
}
