import { loadParameters } from '../src/checkpoint/parameters.js';
import { Decoder } from '../src/decoding/decoder.js';

/** A process of its own for `load.ts`: loads the model whose folder is given and reads one token. */
const [folder = ''] = process.argv.slice(2);
const start = performance.now();
const parameters = await loadParameters(folder);
const load = (performance.now() - start) / 1000;
const decoder = await Decoder.create(parameters);
await decoder.logits([50256]);
const first = (performance.now() - start) / 1000;
const peak = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ load, first, peak }));
await decoder[Symbol.asyncDispose]();
