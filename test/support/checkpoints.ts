import { z } from 'zod';
import { readJson } from '../../src/base/files.js';
import { elementCount, type TensorSource } from '../../src/checkpoint/tensor-source.js';
import { golden } from './files.js';

const numbers = z.array(z.number());

const expectedSchema = z.object({
  ids: z.array(numbers),
  tensors: z.record(z.string(), z.object({ shape: numbers, sum: z.number(), first: numbers })),
  'logits-f32': numbers,
  'logits-f16': numbers,
  'logits-bf16': numbers,
  scores: numbers,
  layouts: z.record(z.string(), z.object({ shape: numbers, values: numbers })),
});

/** What PyTorch computed from the files under `test/golden/checkpoint/`. */
export async function expectedFromPyTorch(): Promise<z.infer<typeof expectedSchema>> {
  return expectedSchema.parse(await readJson(golden('checkpoint', 'expected.json')));
}

/** All values of a tensor. */
export async function valuesOf(source: TensorSource): Promise<Float32Array> {
  const values = new Float32Array(elementCount(source.shape));
  await source.readInto(values);
  return values;
}
