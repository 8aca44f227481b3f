/** A thread of `int8.ts`: quantises some of a model's matrices. */
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { columnScales, hasRowScales, quantize, rowScales } from './byte-matrices.js';
import { openParameters } from './parameters.js';
import { elementCount } from './tensor-source.js';

const { path, names } = z
  .object({ path: z.string(), names: z.array(z.string()) })
  .parse(workerData);

const { sources } = await openParameters(path);
const results = [];
for (const name of names) {
  const source = sources.get(name);
  if (source === undefined) throw new Error(`The model has no parameter ${name}.`);
  const data = new Float32Array(elementCount(source.shape));
  await source.readInto(data);
  const columns = source.shape.at(-1) ?? 1;
  const byRow = hasRowScales(name);
  const scales = byRow ? rowScales(data, columns) : columnScales(data, columns);
  results.push({ name, bytes: quantize(data, columns, scales, byRow), scales });
}
const buffers = results.flatMap(({ bytes, scales }) => [bytes.buffer, scales.buffer]);
parentPort?.postMessage(results, buffers);
