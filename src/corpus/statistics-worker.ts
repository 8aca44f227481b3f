import { parentPort } from 'node:worker_threads';
import { z } from 'zod';
import { countBlock } from './statistics.js';

/** One of the threads that count what a corpus holds. */

const taskSchema = z.object({ bytes: z.instanceof(Uint8Array) });

parentPort?.on('message', (message) => {
  parentPort?.postMessage({ result: countBlock(taskSchema.parse(message).bytes) });
});
