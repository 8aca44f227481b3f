import { at, range } from '../base/arrays.js';
import { Random } from '../base/random.js';
import { constrained } from './constraints.js';
import { argmax, candidates, draw } from './sampling.js';
import { type Generation, onlyReading, type Search } from './search.js';
import { reportToken, type SearchTask } from './task.js';

/** The generator of one of several sequences; the first one's is that of the seed itself. */
function randomOf(seed: number, row: number): Random {
  const high = Math.floor(seed / 2 ** 32) + row;
  return new Random((seed % 2 ** 32) + (high % 2 ** 21) * 2 ** 32);
}

/**
 * Takes the likeliest token at each step (`_sample` with `do_sample` off), or draws one;
 * `numReturnSequences` sequences are drawn side by side, each with random numbers of its own.
 */
export function* sampleSearch(task: SearchTask): Search {
  const { prompt, endOfText, longest, options, constraints, seed, report } = task;
  const rows = range(0, options.numReturnSequences).map((row) => ({
    ids: [...prompt],
    random: randomOf(seed, row),
    state: longest > prompt.length ? 'running' : 'cut',
  }));
  const choose = (logits: Float32Array, row: (typeof rows)[number]) => {
    const scores = constrained(logits, row.ids, constraints);
    const token = options.doSample ? draw(candidates(scores, options), row.random) : argmax(scores);
    if (token === endOfText) row.state = 'ended';
    else {
      row.ids.push(token);
      if (report !== undefined) reportToken(report, logits, token);
    }
    if (row.ids.length >= longest) row.state = 'cut';
  };
  const settled = () => at(rows, 0).ids.slice(prompt.length);
  let running = rows.filter(({ state }) => state === 'running');
  if (running.length > 0) {
    const sequences = [{ ids: prompt, prompt: prompt.length }];
    const first = onlyReading(yield { sequences, settled: [] });
    for (const row of running) choose(first.logits, row);
  }
  for (;;) {
    running = rows.filter(({ state }) => state === 'running');
    if (running.length === 0) break;
    const sequences = running.map(({ ids }) => ({ ids: [...ids], prompt: prompt.length }));
    const readings = yield { sequences, settled: settled() };
    for (const [index, row] of running.entries()) choose(at(readings, index).logits, row);
  }
  return rows.map(({ ids, state }): Generation => ({
    tokens: ids.slice(prompt.length),
    ended: state === 'ended',
  }));
}
