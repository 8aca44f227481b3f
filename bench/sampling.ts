import { range } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';
import { constrained } from '../src/decoding/constraints.js';
import {
  argmax,
  candidates,
  draw,
  largest,
  logSoftmax,
  type SamplingOptions,
} from '../src/decoding/sampling.js';
import { type Benchmark, formatTable, median } from './benchmark.js';

/** As many scores as GPT-2 gives, spread about as a trained model's are. */
const TOKENS = 50_257;
const SPREAD = 3;

/** How many tokens are chosen before the measured ones, and how many of those there are. */
const WARM_UP = 200;
const COUNTED = 400;

const everything: SamplingOptions = { temperature: 0.7, topK: 0, topP: 1 };

/** What choosing the next token takes once its scores are known. */
export const samplingBenchmark: Benchmark = {
  description: `Microseconds to choose one of ${TOKENS} tokens, the median of ${COUNTED}`,
  run: (print) => {
    const random = new Random(1);
    const scores = range(0, 8).map(() =>
      Float32Array.from({ length: TOKENS }, () => SPREAD * random.normal()),
    );
    const sample = (options: Partial<SamplingOptions>) => (logits: Float32Array) =>
      draw(candidates(logits, { ...everything, ...options }), random);
    const ways: Readonly<Record<string, (logits: Float32Array) => unknown>> = {
      greedy: argmax,
      'top-k 40': sample({ topK: 40 }),
      'top-p 0.9': sample({ topP: 0.9 }),
      'top-k 40, top-p 0.9': sample({ topK: 40, topP: 0.9 }),
      'min-p 0.05': sample({ minP: 0.05 }),
      'typical-p 0.9': sample({ typicalP: 0.9 }),
      'no limit': sample({}),
      'a beam of 5': (logits) => largest(logSoftmax(logits), 10),
      constraints: (logits) => constrained(logits, [], []),
    };
    const figures = Object.fromEntries(
      Object.entries(ways).map(([name, choose]) => [name, microseconds(choose, scores)]),
    );
    print(formatTable(Object.entries(figures).map(([name, time]) => [name, time.toFixed(0)])));
    return Promise.resolve({ benchmark: 'sampling', ...figures });
  },
};

function microseconds(
  choose: (logits: Float32Array) => unknown,
  scores: readonly Float32Array[],
): number {
  const times = range(0, WARM_UP + COUNTED).map((turn) => {
    const logits = scores[turn % scores.length];
    const start = performance.now();
    if (logits !== undefined) choose(logits);
    return 1000 * (performance.now() - start);
  });
  return median(times.slice(WARM_UP));
}
