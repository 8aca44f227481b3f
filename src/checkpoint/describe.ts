import { stat } from 'node:fs/promises';
import { withFileErrors } from '../base/errors.js';
import { type Gpt2Config, parameterCount } from '../model/index.js';
import { adapterFile, describeAdapter, isAdapter } from './adapter.js';
import { RANKING_HEAD, readConfig } from './parameters.js';
import { standardize } from './sanitize.js';
import { openWeights } from './weights.js';

/** What can be said of a model without reading its weights. */
export interface ModelDescription {
  readonly path: string;
  /** Whether it has DialogRPT's head, and scores replies instead of writing them. */
  readonly isRanker: boolean;
  readonly config: Gpt2Config;
  /** The number of parameters, each shared one counted once. */
  readonly parameters: number;
  /** The element types that the weights are stored as (`F32`, `F16`, …). */
  readonly dtypes: readonly string[];
  /** The files of weights and their sizes in bytes. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Memory in bytes. */
  readonly memory: {
    /** The weights as 32-bit numbers. */
    readonly weights: number;
    /** The keys and values of one conversation as long as the model allows. */
    readonly cache: number;
    /** Weights, gradients and Adam's two moments; what a batch takes comes on top. */
    readonly training: number;
  };
}

/**
 * Describes the model in a folder or file from its configuration and the headers of its files. Of
 * an adapter, it is the base that is described, with the adapter's file among the files.
 *
 * @throws UserError where the files are damaged or no model.
 */
export async function describeModel(path: string): Promise<ModelDescription> {
  if (await isAdapter(path)) {
    const base = await describeModel((await describeAdapter(path)).basePath);
    return { ...base, path, files: [...base.files, await measure(await adapterFile(path))] };
  }
  const config = await readConfig(path);
  const weights = await openWeights(path);
  const tensors = standardize(weights.tensors, path);
  const isRanker = tensors.has(RANKING_HEAD);
  const parameters = parameterCount(config) + (isRanker ? config.n_embd : 0);
  const files = await Promise.all(weights.files.map(measure));
  return {
    path,
    isRanker,
    config,
    parameters,
    dtypes: [...new Set(Array.from(tensors.values(), ({ dtype }) => dtype))].sort(),
    files,
    memory: {
      weights: parameters * 4,
      cache: 2 * config.n_layer * config.n_positions * config.n_embd * 4,
      training: parameters * 16,
    },
  };
}

async function measure(file: string): Promise<ModelDescription['files'][number]> {
  const { size } = await withFileErrors(file, () => stat(file));
  return { path: file, bytes: size };
}
