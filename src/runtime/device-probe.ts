// Run as a program of its own by require-device.ts: runs a small graph on the device named by its first
// argument, in half precision if the second is float16, and ends with an error message on standard
// output if that fails.
import './no-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf } from '../base/errors.js';
import { add, cast, Graph, serialize } from '../graph/index.js';

const [device = 'cpu', type = 'float32'] = process.argv.slice(2);
const graph = new Graph();
const x = cast(graph.input('x', 'float32', [1]), type === 'float16' ? 'float16' : 'float32');
graph.output('y', cast(add(x, x), 'float32'));
try {
  const options = { executionProviders: [device], logSeverityLevel: 4 } as const;
  const session = await InferenceSession.create(serialize(graph), options);
  await session.run({ x: new Tensor('float32', Float32Array.of(1), [1]) });
} catch (error) {
  process.stdout.write(messageOf(error));
  process.exitCode = 1;
}
