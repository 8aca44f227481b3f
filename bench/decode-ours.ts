import { range, sum } from '../src/base/arrays.js';
import { DECODING_TYPES, openGraphWeights } from '../src/checkpoint/index.js';
import { Decoder } from '../src/decoding/decoder.js';
import { useHugePages } from '../src/runtime/index.js';
import { secondsOf } from './benchmark.js';
import {
  BATCHES,
  LONG_PROMPT,
  LONGEST,
  medianRate,
  NEW_TOKENS,
  PROMPT,
  promptOf,
} from './decode-measure.js';

/** A process of its own for `decode.ts`: `FOLDER DTYPE`. */
const [folder = '', wanted = 'fp32'] = process.argv.slice(2);
const dtype = DECODING_TYPES.find((type) => type === wanted) ?? 'fp32';
await using decoder = await Decoder.create(await openGraphWeights(folder, dtype));
// What goes on beside the first replies otherwise.
await useHugePages();

const steps: Record<string, number> = {};
for (const rows of BATCHES) {
  let sequences = range(0, rows).map((row) => ({ ids: promptOf(PROMPT, row), prompt: PROMPT }));
  await decoder.read(sequences);
  const seconds: number[] = [];
  for (const token of range(0, NEW_TOKENS)) {
    sequences = sequences.map(({ ids, prompt }) => ({ ids: [...ids, token], prompt }));
    seconds.push(await secondsOf(() => decoder.read(sequences)));
    if (sum(seconds) > LONGEST) break;
  }
  steps[rows] = medianRate(rows, seconds);
}

const times: number[] = [];
for (const row of range(0, 3)) {
  const ids = promptOf(LONG_PROMPT, row);
  times.push(await secondsOf(() => decoder.read([{ ids, prompt: LONG_PROMPT }])));
}
process.stdout.write(JSON.stringify({ steps, prefill: LONG_PROMPT / Math.min(...times) }));
