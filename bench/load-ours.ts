import { DECODING_TYPES, openGraphWeights } from '../src/checkpoint/index.js';
import { Decoder } from '../src/decoding/decoder.js';

/** A process of its own for `load.ts`: loads `FOLDER DTYPE` and reads one token. */
const [folder = '', wanted = 'fp32'] = process.argv.slice(2);
const dtype = DECODING_TYPES.find((type) => type === wanted) ?? 'fp32';
const start = performance.now();
const decoder = await Decoder.create(await openGraphWeights(folder, dtype));
const load = (performance.now() - start) / 1000;
await decoder.logits([50256]);
const first = (performance.now() - start) / 1000;
const peak = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ load, first, peak }));
await decoder[Symbol.asyncDispose]();
