import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { openSafetensors } from '../../src/checkpoint/index.js';
import { readJson } from '../../src/base/files.js';
import { type Gpt2Config, gpt2Config, Parameters } from '../../src/model/index.js';
import { golden } from './files.js';

/** A committed JSON file, checked against what the test expects of it. */
export async function goldenJson<T>(schema: z.ZodType<T>, ...parts: string[]): Promise<T> {
  return schema.parse(await readJson(golden(...parts)));
}

/** A committed file with one JSON value a line. */
export async function goldenLines<T>(schema: z.ZodType<T>, ...parts: string[]): Promise<T[]> {
  const lines = (await readFile(golden(...parts), 'utf8')).trimEnd().split('\n');
  return lines.map((line) => schema.parse(JSON.parse(line)));
}

/** The tensors of a committed safetensors file, as parameters of a model. */
export async function goldenParameters(
  config: Gpt2Config,
  ...parts: string[]
): Promise<Parameters> {
  const parameters = new Parameters(config);
  const sources = await openSafetensors(golden(...parts));
  for (const parameter of parameters.layout) {
    await sources.get(parameter.name)?.readInto(parameters.view(parameter));
  }
  return parameters;
}

/** One of the two small models that PyTorch made (see `golden/gpt2/README.md`). */
export async function goldenModel(name: 'tiny' | 'tiny-trained'): Promise<Parameters> {
  const config = gpt2Config(await readJson(golden('gpt2', name, 'config.json')));
  return goldenParameters(config, 'gpt2', name, 'model.safetensors');
}

/** A dialogue as `make_golden.py` writes it. */
export const goldenRow = z.object({
  turn_lengths: z.array(z.number()),
  turn_weights: z.array(z.number()),
  input_ids: z.array(z.number()),
  labels: z.array(z.number()),
  token_type_ids: z.array(z.number()),
});

/** A dialogue as `make_golden.py` writes it. */
export type GoldenRow = z.infer<typeof goldenRow>;
