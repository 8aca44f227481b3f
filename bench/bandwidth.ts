import { float32, Session } from '../src/runtime/index.js';
import { Graph, reduceMax } from '../src/graph/index.js';
import { median, secondsOf } from './benchmark.js';

/** How much is read: more than any cache holds. */
const ROWS = 64;
const COLUMNS = 1 << 21;
const RUNS = 15;

/**
 * How fast memory is read, in bytes a second: the median of several runs of a reduction over 512 MB,
 * by as many threads as decoding has. A step of decoding reads every weight once, so that this rate
 * over their size is the most steps there can be in a second.
 */
export async function memoryBandwidth(): Promise<number> {
  const graph = new Graph();
  graph.output('largest', reduceMax(graph.input('x', 'float32', [ROWS, COLUMNS]), [1], true));
  await using session = await Session.create(graph);
  const x = float32(new Float32Array(ROWS * COLUMNS).fill(1), [ROWS, COLUMNS]);
  const seconds: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    seconds.push(await secondsOf(() => session.run({ x }, { largest: null })));
  }
  return (ROWS * COLUMNS * 4) / median(seconds);
}
