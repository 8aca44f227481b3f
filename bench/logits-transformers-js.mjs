// node logits-transformers-js.mjs FOLDER DTYPE: rows of token ids as JSON on standard input, and
// what transformers.js computes from them as JSON on standard output: all logits at once, and
// those of the last token when it is read after the others, with their keys and values.
import { AutoModelForCausalLM, DynamicCache, env, Tensor } from '@huggingface/transformers';
import { basename, dirname } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';

const [folder, dtype] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const model = await AutoModelForCausalLM.from_pretrained(basename(folder), {
  dtype,
  device: 'cpu',
});
const rows = JSON.parse(await text(process.stdin));

const tensor = (lists) =>
  new Tensor('int64', lists.flat().map(BigInt), [lists.length, lists[0].length]);
const ones = (length) => tensor(rows.map(() => Array(length).fill(1)));
const length = rows[0].length;
const whole = await model({ input_ids: tensor(rows), attention_mask: ones(length) });
const start = await model({
  input_ids: tensor(rows.map((row) => row.slice(0, -1))),
  attention_mask: ones(length - 1),
});
const past = {};
for (const [name, value] of Object.entries(start)) {
  if (name.startsWith('present.')) past[name.replace('present', 'past_key_values')] = value;
}
const step = await model({
  input_ids: tensor(rows.map((row) => row.slice(-1))),
  attention_mask: ones(length),
  past_key_values: new DynamicCache(past),
});
process.stdout.write(
  JSON.stringify({ whole: Array.from(whole.logits.data), last: Array.from(step.logits.data) }),
);
