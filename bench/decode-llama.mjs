// node decode-llama.mjs FILE.gguf: a process of its own for decode.ts. llama.cpp through
// node-llama-cpp: prompts are read, then one token of each sequence is evaluated in one batch.
import { getLlama } from 'node-llama-cpp';
import { availableParallelism } from 'node:os';
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

const [file] = process.argv.slice(2);
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' });
// By itself it takes at least four, which wait for each other in turns where there are fewer cores.
const threads = availableParallelism();
const model = await llama.loadModel({ modelPath: file });
const steps = {};
for (const count of BATCHES) {
  const context = await model.createContext({
    threads,
    sequences: count,
    contextSize: PROMPT + NEW_TOKENS + 8,
    batchSize: Math.max(512, count),
  });
  const sequences = Array.from({ length: count }, () => context.getSequence());
  const readAll = (tokensOf) =>
    Promise.all(
      sequences.map((sequence, row) => sequence.evaluateWithoutGeneratingNewTokens(tokensOf(row))),
    );
  await readAll((row) => promptOf(PROMPT, row));
  const seconds = [];
  for (let token = 0; token < NEW_TOKENS; token++) {
    const start = performance.now();
    await Promise.all(
      sequences.map((sequence) =>
        sequence.controlledEvaluate([[token, { generateNext: { token: true } }]]),
      ),
    );
    seconds.push((performance.now() - start) / 1000);
    if (seconds.reduce((sum, one) => sum + one) > LONGEST) break;
  }
  steps[count] = medianRate(count, seconds);
  await context.dispose();
}
const context = await model.createContext({
  threads,
  contextSize: LONG_PROMPT + 8,
  batchSize: LONG_PROMPT,
});
const sequence = context.getSequence();
let best = Infinity;
for (let row = 0; row < 3; row++) {
  await sequence.clearHistory();
  const start = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(promptOf(LONG_PROMPT, row));
  best = Math.min(best, performance.now() - start);
}
process.stdout.write(JSON.stringify({ steps, prefill: (LONG_PROMPT * 1000) / best }));
process.exit(0);
