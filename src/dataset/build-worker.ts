import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../base/errors.js';
import { gpt2Tokenizer, Tokenizer } from '../tokenizer/index.js';
import { buildBlock } from './build-block.js';
import { buildTaskSchema, workerDataSchema } from './build-tasks.js';

/** One of the threads that build a dataset: makes the examples of blocks of lines. */

const { settings, folder, tokens, linesDone } = workerDataSchema.parse(workerData);
const tokenizer = tokens === undefined ? gpt2Tokenizer() : new Tokenizer({ tokens });
const onLines = (lines: number) => {
  Atomics.add(linesDone, 0, lines);
};

parentPort?.on('message', (message) => {
  buildBlock(buildTaskSchema.parse(message), folder, tokenizer, settings, onLines).then(
    (result) => {
      parentPort?.postMessage({ result });
    },
    (error: unknown) => {
      if (error instanceof UserError) {
        parentPort?.postMessage({ result: { userError: error.message } });
        return;
      }
      const sent = error instanceof Error ? error : new Error(String(error));
      parentPort?.postMessage({ error: sent });
    },
  );
});
