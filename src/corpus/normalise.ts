import { readFileSync } from 'node:fs';
import { z } from 'zod';

/**
 * The original's normalisation of a turn, reddit.py's `gpt_norm_sentence`: hashtags go, links
 * become `__url__`, what is not a letter, digit or plain punctuation becomes a space, and the
 * tokens of NLTK's TweetTokenizer are set apart by single spaces. The work is done in WebAssembly
 * (`kernels/text.asc.ts`).
 *
 * @param text UTF-8, as the rows' texts are: `minimal_norm_sentence` has been through it.
 */
export function normaliseText(text: Uint8Array): string {
  const address = kernel.prepare(text.length);
  const bytes = memory();
  bytes.set(text, address);
  const length = kernel.normalise();
  const start = kernel.outputAddress();
  return bytes.toString('utf8', start, start + length);
}

const exportSchema = z.object({
  memory: z.instanceof(WebAssembly.Memory),
  prepare: z.custom<(length: number) => number>((value) => typeof value === 'function'),
  normalise: z.custom<() => number>((value) => typeof value === 'function'),
  outputAddress: z.custom<() => number>((value) => typeof value === 'function'),
});

const kernel = loadKernel();
let view = Buffer.from(kernel.memory.buffer);

function loadKernel(): z.infer<typeof exportSchema> {
  const bytes = readFileSync(new URL('./kernels/text.wasm', import.meta.url));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  return exportSchema.parse({ ...exports });
}

/** The kernel's memory, whose buffer is another one after it has grown. */
function memory(): Buffer {
  if (view.buffer !== kernel.memory.buffer) view = Buffer.from(kernel.memory.buffer);
  return view;
}
