// node decode-transformers-js.mjs FOLDER: a process of its own for decode.ts. What transformers.js
// does in its generate(), without choosing tokens: reads prompts, then one token of each row a run.
import { AutoModelForCausalLM, DynamicCache, env, Tensor } from '@huggingface/transformers';
import { basename, dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import {
  BATCHES,
  LONG_PROMPT,
  LONGEST,
  medianRate,
  NEW_TOKENS,
  PROMPT,
  promptOf,
} from '../dist/bench/decode-measure.js';

const [folder] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const model = await AutoModelForCausalLM.from_pretrained(basename(folder), {
  dtype: 'fp32',
  device: 'cpu',
});
const tensor = (rows) =>
  new Tensor('int64', rows.flat().map(BigInt), [rows.length, rows[0].length]);
const read = (rows, length, past) =>
  model({
    input_ids: tensor(rows),
    attention_mask: tensor(rows.map(() => Array(length).fill(1))),
    ...(past === undefined ? {} : { past_key_values: past }),
  });
const presentOf = (outputs) =>
  new DynamicCache(
    Object.fromEntries(
      Object.entries(outputs)
        .filter(([name]) => name.startsWith('present.'))
        .map(([name, value]) => [name.replace('present', 'past_key_values'), value]),
    ),
  );

const steps = {};
for (const count of BATCHES) {
  const prompts = Array.from({ length: count }, (_, row) => promptOf(PROMPT, row));
  let past = presentOf(await read(prompts, PROMPT));
  const seconds = [];
  for (let token = 0; token < NEW_TOKENS; token++) {
    const start = performance.now();
    past = presentOf(
      await read(
        prompts.map(() => [token]),
        PROMPT + token + 1,
        past,
      ),
    );
    seconds.push((performance.now() - start) / 1000);
    if (seconds.reduce((sum, one) => sum + one) > LONGEST) break;
  }
  steps[count] = medianRate(count, seconds);
}
let best = Infinity;
for (let row = 0; row < 3; row++) {
  const start = performance.now();
  await read([promptOf(LONG_PROMPT, row)], LONG_PROMPT);
  best = Math.min(best, performance.now() - start);
}
process.stdout.write(JSON.stringify({ steps, prefill: (LONG_PROMPT * 1000) / best }));
