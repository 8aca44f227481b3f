import { parentPort, workerData } from 'node:worker_threads';
import { floatsAt } from '../runtime/index.js';
import { workOn } from './optimizer-pass.js';
import { passMessageSchema, piecesSchema } from './optimizer-threads.js';

// A thread beside the one that trains: it takes pieces of the passes that it is told of.
const pieces = piecesSchema.parse(workerData);

parentPort?.on('message', (message: unknown) => {
  const { pass, turns, weights, gradients, firstMoments, secondMoments } =
    passMessageSchema.parse(message);
  workOn(pass, pieces, turns, () => ({
    weights: floatsAt(weights),
    gradients: floatsAt(gradients),
    firstMoments: floatsAt(firstMoments),
    secondMoments: floatsAt(secondMoments),
  }));
});
