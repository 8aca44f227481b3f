import { Graph, matmul } from '../src/graph/index.js';
import { float32, Session } from '../src/runtime/index.js';
import { secondsOf } from './benchmark.js';

/**
 * The rate of a lone matrix product of GPT-2 small's size (2048 tokens through its widest layer),
 * in floating-point operations a second: the best of several runs, so what the machine can do.
 */
export async function matrixPeak(): Promise<number> {
  const [rows, inner, columns] = [2048, 768, 3072];
  const graph = new Graph();
  const a = graph.input('a', 'float32', [rows, inner]);
  const b = graph.input('b', 'float32', [inner, columns]);
  graph.output('product', matmul(a, b));
  await using session = await Session.create(graph, { inPlace: true });
  const feeds = {
    a: float32(new Float32Array(rows * inner).fill(0.5), [rows, inner]),
    b: float32(new Float32Array(inner * columns).fill(0.5), [inner, columns]),
  };
  const product = float32(new Float32Array(rows * columns), [rows, columns]);
  const operations = 2 * rows * inner * columns;
  let best = Infinity;
  for (let run = 0; run < 12; run++) {
    best = Math.min(best, await secondsOf(() => session.run(feeds, { product })));
  }
  return operations / best;
}
