import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { UserError, withFileErrors } from '../base/errors.js';
import { exists, readJson } from '../base/files.js';
import { withScales } from './scales.js';
import { openSafetensors } from './safetensors.js';
import { type TensorSource } from './tensor-source.js';
import { openTorchFile } from './torch-file.js';

/** The files of weights that a model's folder may hold, the one to prefer first. */
export const WEIGHT_FILES = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
] as const;

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** The tensors of a checkpoint under the names of its files, and those files. */
export interface Weights {
  readonly tensors: ReadonlyMap<string, TensorSource>;
  readonly files: readonly string[];
}

/**
 * Opens the weights of a model: a folder in Hugging Face's layout (safetensors or PyTorch, in one
 * file or several), or a single file: safetensors, an index of several files, or what `torch.save`
 * wrote (`.bin`, `.pt`, `.pth`, `.pkl`).
 *
 * @throws UserError where there are no weights, or a file is damaged or refused.
 */
export async function openWeights(path: string): Promise<Weights> {
  const file = await weightFile(path);
  if (file.endsWith('.index.json')) return openShards(file);
  return { tensors: withScales(await openWeightFile(file)), files: [file] };
}

async function openWeightFile(file: string): Promise<Map<string, TensorSource>> {
  return file.endsWith('.safetensors') ? openSafetensors(file) : openTorchFile(file);
}

async function weightFile(path: string): Promise<string> {
  const isFolder = await withFileErrors(path, async () => (await stat(path)).isDirectory());
  if (!isFolder) return path;
  for (const name of WEIGHT_FILES) {
    if (await exists(join(path, name))) return join(path, name);
  }
  const others = (await readdir(path)).filter((name) => /\.(?:pkl|pth|pt)$/.test(name));
  const [only] = others;
  if (only !== undefined && others.length === 1) return join(path, only);
  throw new UserError(
    `${path}: this folder holds no weights (${WEIGHT_FILES.join(', ')}); give a model's folder, or one of its files.`,
  );
}

/**
 * The files of a folder that hold its weights, an index and the files it names among them; they
 * need not all be there. None where the folder holds no weights.
 */
export async function findWeightFiles(folder: string): Promise<string[]> {
  for (const name of WEIGHT_FILES) {
    const file = join(folder, name);
    if (!(await exists(file))) continue;
    if (!name.endsWith('.index.json')) return [file];
    const shards = new Set((await readShardNames(file)).values());
    return [file, ...Array.from(shards, (shard) => join(folder, shard))];
  }
  return [];
}

/**
 * The file of each tensor, from the index of a model in several files.
 *
 * @throws UserError where the index is damaged or names files outside of its folder.
 */
export async function readShardNames(index: string): Promise<Map<string, string>> {
  const parsed = indexSchema.safeParse(await readJson(index));
  if (!parsed.success) {
    throw new UserError(`${index}: "weight_map" must name a file for each tensor; get it again.`);
  }
  const shards = new Map(Object.entries(parsed.data.weight_map));
  for (const [name, shard] of shards) {
    if (shard !== basename(shard) || shard.startsWith('.')) {
      throw new UserError(
        `${index}: tensor "${name}" is said to lie outside the folder: ${shard}; get the index again.`,
      );
    }
  }
  return shards;
}

async function openShards(index: string): Promise<Weights> {
  const shards = new Map<string, ReadonlyMap<string, TensorSource>>();
  const tensors = new Map<string, TensorSource>();
  for (const [name, shard] of await readShardNames(index)) {
    const file = join(dirname(index), shard);
    const opened = shards.get(file) ?? (await openWeightFile(file));
    shards.set(file, opened);
    const source = opened.get(name);
    if (source === undefined) {
      throw new UserError(
        `${file}: tensor "${name}" is not there, but ${basename(index)} says so; get the folder again.`,
      );
    }
    tensors.set(name, source);
  }
  return { tensors, files: [index, ...shards.keys()] };
}
