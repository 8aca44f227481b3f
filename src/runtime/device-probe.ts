// Run as a program of its own by devices.ts: prepares a small graph on the device named by its
// argument, and ends with an error message on standard output if that fails.
import { InferenceSession } from 'onnxruntime-node';
import { messageOf } from '../base/errors.js';
import { Graph, serialize } from '../graph/index.js';

const [device = 'cpu'] = process.argv.slice(2);
const graph = new Graph();
graph.output('y', graph.input('x', 'float32', [1]));
try {
  await InferenceSession.create(serialize(graph), { executionProviders: [device] });
} catch (error) {
  process.stdout.write(messageOf(error));
  process.exitCode = 1;
}
