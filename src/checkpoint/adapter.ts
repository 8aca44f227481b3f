import { join, resolve } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { exists, readJson, writeFileWhole } from '../base/files.js';
import { type Gpt2Config, LORA_MODULES, LoraAdapter, parameterShapes } from '../model/index.js';
import { resolveModel } from './resolve.js';
import { openSafetensors, writeSafetensors } from './safetensors.js';
import type { TensorSource } from './tensor-source.js';
import { openTorchFile } from './torch-file.js';
import { findWeightFiles } from './weights.js';

/** The file that tells a folder with an adapter from one with a model. */
const ADAPTER_CONFIG = 'adapter_config.json';
const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

/** What PEFT puts before the model's own names. */
const PREFIX = 'base_model.model.';

/** A field that may only have values that change nothing. */
const nothing = z.union([
  z.null(),
  z.literal(false),
  z.array(z.unknown()).length(0),
  z.record(z.string(), z.never()),
]);

/**
 * PEFT's `LoraConfig` (`peft/tuners/lora/config.py`), of version 0.4 to 0.21. What would change the
 * model in ways that we do not compute is refused; what concerns training alone is passed over.
 */
const adapterSchema = z.looseObject({
  peft_type: z.literal('LORA'),
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().nullish(),
  r: z.number().int().positive(),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).lt(1).default(0),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
  use_rslora: z.boolean().default(false),
  bias: z.literal('none').default('none'),
  // Other ways to start change the base model too.
  init_lora_weights: z.union([z.boolean(), z.enum(['gaussian', 'eva'])]).nullish(),
  modules_to_save: nothing.optional(),
  rank_pattern: nothing.optional(),
  alpha_pattern: nothing.optional(),
  use_dora: nothing.optional(),
  lora_bias: nothing.optional(),
  layer_replication: nothing.optional(),
  trainable_token_indices: nothing.optional(),
});

type AdapterFile = z.infer<typeof adapterSchema>;

/** Whether a folder holds an adapter and no model. */
export async function isAdapter(path: string): Promise<boolean> {
  return (await exists(join(path, ADAPTER_CONFIG))) && (await findWeightFiles(path)).length === 0;
}

/** What a folder with an adapter says, before its numbers are read. */
export interface AdapterDescription {
  readonly folder: string;
  /** The base as `adapter_config.json` names it. */
  readonly base: string;
  /** Where the base is, on this machine. */
  readonly basePath: string;
  readonly file: AdapterFile;
}

/**
 * Reads `adapter_config.json` and finds the base model: a path as it stands, one seen from the
 * adapter's folder, or a name on the hub.
 *
 * @throws UserError where the adapter is none that we can lay beside a GPT-2, or its base is gone.
 */
export async function describeAdapter(folder: string): Promise<AdapterDescription> {
  const path = join(folder, ADAPTER_CONFIG);
  const parsed = adapterSchema.safeParse(await readJson(path));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(
      `${path}: this adapter cannot be laid beside a GPT-2 here: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}; merge it with Python's peft.`,
    );
  }
  const file = parsed.data;
  const { base_model_name_or_path: named, revision } = file;
  if (named === undefined || named === null || named === '') {
    throw new UserError(
      `${path}: it does not say which model it belongs to; add "base_model_name_or_path".`,
    );
  }
  const beside = resolve(folder, named);
  const isHere = await exists(named);
  const base = isHere || typeof revision !== 'string' ? named : `${named}@${revision}`;
  const basePath = !isHere && (await exists(beside)) ? beside : await resolveModel(base);
  if (await isAdapter(basePath)) {
    throw new UserError(
      `${path}: its base ${base} is itself an adapter; merge that one first with dialogpt convert.`,
    );
  }
  return { folder, base, basePath, file };
}

/**
 * Reads an adapter in PEFT's format.
 *
 * @param config the base model's
 * @throws UserError where its tensors are not those of an adapter for such a model.
 */
export async function loadAdapter(
  { folder, base, file }: AdapterDescription,
  config: Gpt2Config,
): Promise<LoraAdapter> {
  const path = await adapterFile(folder);
  const sources = await (path.endsWith('.bin') ? openTorchFile(path) : openSafetensors(path));
  const tensors = new Map(
    Array.from(sources, ([name, source]) => [standardName(name), source] as const),
  );
  const known = parameterShapes(config);
  const weights = [...known.keys()].filter((name) =>
    tensors.has(name.replace(/weight$/, 'lora_A.weight')),
  );
  const options = {
    rank: file.r,
    alpha: file.lora_alpha,
    dropout: file.lora_dropout,
    targetModules:
      typeof file.target_modules === 'string'
        ? [file.target_modules]
        : (file.target_modules ?? ['c_attn']),
    rankStabilized: file.use_rslora,
  };
  const adapter = new LoraAdapter(config, options, base, weights);
  const expected = new Set(adapter.layout.map(({ name }) => name));
  const strange = [...tensors.keys()].find((name) => !expected.has(name));
  if (strange !== undefined || weights.length === 0) {
    throw new UserError(
      `${path}: ${strange === undefined ? 'it holds no factors' : `tensor "${strange}" is not one`} of an adapter for this model, whose modules are ${LORA_MODULES.join(', ')}.`,
    );
  }
  for (const parameter of adapter.layout) {
    const source = tensors.get(parameter.name);
    if (source?.shape.join() !== parameter.shape.join()) {
      throw new UserError(
        `${path}: tensor "${parameter.name}" should have the shape ${parameter.shape.join(' × ')}, but has ${source?.shape.join(' × ') ?? 'none'}; the adapter belongs to another model.`,
      );
    }
    await source.readInto(adapter.view(parameter));
  }
  return adapter;
}

/** The name that a factor has with us, from what PEFT's versions and kinds of GPT-2 call it. */
function standardName(name: string): string {
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  const whole = bare.startsWith('h.') ? `transformer.${bare}` : bare;
  return whole.replace('.default.weight', '.weight');
}

/** The file of an adapter's numbers. */
export async function adapterFile(folder: string): Promise<string> {
  const path = join(folder, ADAPTER_WEIGHTS);
  if (await exists(path)) return path;
  const older = join(folder, 'adapter_model.bin');
  if (await exists(older)) return older;
  throw new UserError(`${path}: the adapter's numbers are not there; get the folder again.`);
}

/** The tensors of a base model as they are with an adapter merged in, still in their files. */
export function mergedSources(
  base: ReadonlyMap<string, TensorSource>,
  adapter: LoraAdapter,
): Map<string, TensorSource> {
  const merged = new Map(base);
  for (const pair of adapter.pairs) {
    const source = base.get(pair.weight);
    if (source === undefined) throw new Error(`The model has no tensor ${pair.weight}.`);
    merged.set(pair.weight, {
      origin: source.origin,
      dtype: 'F32',
      shape: source.shape,
      readInto: async (target, start = 0) => {
        await source.readInto(target, start);
        adapter.addTo(target, pair, start);
      },
    });
  }
  return merged;
}

/** Writes an adapter in PEFT's format; the numbers come last. */
export async function saveAdapter(
  folder: string,
  adapter: LoraAdapter,
  dtype: 'F32' | 'F16' = 'F32',
): Promise<void> {
  const { options } = adapter;
  const [base = '', revision] = (await exists(adapter.base))
    ? [adapter.base]
    : adapter.base.split('@');
  const config = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base,
    revision: revision ?? null,
    inference_mode: true,
    r: options.rank,
    lora_alpha: options.alpha,
    lora_dropout: options.dropout,
    target_modules: options.targetModules,
    // GPT-2 stores its weights as [in, out].
    fan_in_fan_out: true,
    use_rslora: options.rankStabilized ?? false,
    bias: 'none',
    init_lora_weights: true,
  };
  await writeFileWhole(join(folder, ADAPTER_CONFIG), `${JSON.stringify(config, null, 2)}\n`);
  const tensors = adapter.layout.map((parameter) => ({
    name: `${PREFIX}${parameter.name}`,
    shape: parameter.shape,
    data: adapter.view(parameter),
  }));
  await writeSafetensors(join(folder, ADAPTER_WEIGHTS), tensors, dtype);
}
