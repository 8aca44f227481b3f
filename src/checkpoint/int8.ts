import { availableParallelism } from 'node:os';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { at } from '../base/arrays.js';
import { type Parameter, parameterLayout } from '../model/index.js';
import { isQuantizable } from './byte-matrices.js';
import { openParameters } from './parameters.js';
import { type NamedTensor, writeSafetensors } from './safetensors.js';
import { SCALE } from './scales.js';

/** What the header of such a file says. */
const NOTE = { quantization: 'int8: scale * (byte - 128), a scale for each output' };

const quantizedSchema = z.array(
  z.object({
    name: z.string(),
    bytes: z.instanceof(Uint8Array),
    scales: z.instanceof(Float32Array),
  }),
);

/**
 * Writes the weights of a language model as 8-bit numbers. The work is shared by worker threads.
 *
 * @param from a folder or file of weights in any format
 * @param to the file to write, whole or not at all
 * @param metadata further texts for its header
 */
export async function writeInt8(
  from: string,
  to: string,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { config, sources } = await openParameters(from);
  const layout = parameterLayout(config);
  const matrices = layout.filter(isQuantizable);
  const tensors: NamedTensor[] = [];
  for (const { name, shape, length } of layout.filter(
    (parameter) => !matrices.includes(parameter),
  )) {
    const data = new Float32Array(length);
    await sources.get(name)?.readInto(data);
    tensors.push({ name, shape, data });
  }
  const quantized = await quantizeAll(from, matrices);
  for (const { name, shape } of matrices) {
    const { bytes, scales } = found(quantized, name);
    tensors.push({ name, shape, data: bytes });
    tensors.push({ name: `${name}${SCALE}`, shape: [scales.length], data: scales });
  }
  await writeSafetensors(to, tensors, 'F32', { ...NOTE, ...metadata });
}

type Quantized = z.infer<typeof quantizedSchema>[number];

async function quantizeAll(
  path: string,
  matrices: readonly Parameter[],
): Promise<ReadonlyMap<string, Quantized>> {
  const threads = Math.min(availableParallelism(), 8);
  const shares = Array.from({ length: threads }, () => ({ names: new Array<string>(), length: 0 }));
  for (const { name, length } of [...matrices].sort((a, b) => b.length - a.length)) {
    const lightest = shares.reduce((least, share) => (share.length < least.length ? share : least));
    lightest.names.push(name);
    lightest.length += length;
  }
  const done = await Promise.all(
    shares.map(async ({ names }) => {
      const worker = new Worker(new URL('./int8-worker.js', import.meta.url), {
        workerData: { path, names },
      });
      const messages: unknown[] = await once(worker, 'message');
      return quantizedSchema.parse(at(messages, 0));
    }),
  );
  return new Map(done.flat().map((quantized) => [quantized.name, quantized]));
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`There is no ${name}.`);
  return value;
}
