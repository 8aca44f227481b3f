import { parentPort, workerData } from 'node:worker_threads';
import { monthSchema, taskSchema } from './extract-tasks.js';
import { ExtractWork } from './extract-work.js';

/** One of a month's threads. */

const work = new ExtractWork(monthSchema.parse(workerData));

parentPort?.on('message', (message) => {
  try {
    const { result, transfer } = work.perform(taskSchema.parse(message));
    parentPort?.postMessage({ result }, transfer);
  } catch (error) {
    parentPort?.postMessage({ error: error instanceof Error ? error : new Error(String(error)) });
  }
});
