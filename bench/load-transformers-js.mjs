// A process of its own for load.ts: transformers.js loads the ONNX model and reads one token.
import { AutoModelForCausalLM, env, Tensor } from '@huggingface/transformers';
import { performance } from 'node:perf_hooks';
import process from 'node:process';

env.allowRemoteModels = false;
env.localModelPath = process.argv[2];
const start = performance.now();
const model = await AutoModelForCausalLM.from_pretrained('onnx', { dtype: 'fp32', device: 'cpu' });
const load = (performance.now() - start) / 1000;
const one = (value) => new Tensor('int64', [value], [1, 1]);
await model({ input_ids: one(50256n), attention_mask: one(1n) });
const first = (performance.now() - start) / 1000;
const peak = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ load, first, peak }));
