import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError, withFileErrors } from '../base/errors.js';
import { exists, readJson } from '../base/files.js';
import {
  type Gpt2Config,
  gpt2Config,
  Parameters,
  parameterShapes,
  POSITION_EMBEDDING,
  TOKEN_EMBEDDING,
} from '../model/index.js';
import { adapterFile, describeAdapter, isAdapter, loadAdapter, mergedSources } from './adapter.js';
import { sanitize, standardize } from './sanitize.js';
import { type TensorSource } from './tensor-source.js';
import { openWeights } from './weights.js';

/** The name of DialogRPT's ranking head. */
export const RANKING_HEAD = 'score.weight';

/** The width of one attention head in every GPT-2 that was published. */
const HEAD_WIDTH = 64;

/**
 * The configuration of the model at `path`: its folder's `config.json`, or for a file of weights
 * the one beside it; without one, what the shapes of the tensors tell, with heads 64 wide. That of
 * an adapter is its base's.
 *
 * @throws UserError where there is no configuration to be found.
 */
export async function readConfig(path: string): Promise<Gpt2Config> {
  if (await isAdapter(path)) return readConfig((await describeAdapter(path)).basePath);
  const isFolder = await withFileErrors(path, async () => (await stat(path)).isDirectory());
  const file = join(isFolder ? path : dirname(path), 'config.json');
  if (await exists(file)) return gpt2Config(await readJson(file), file);
  return configOfShapes(standardize((await openWeights(path)).tensors, path), path);
}

function configOfShapes(tensors: ReadonlyMap<string, TensorSource>, path: string): Gpt2Config {
  const [vocabulary, width] = tensors.get(TOKEN_EMBEDDING)?.shape ?? [];
  const [positions] = tensors.get(POSITION_EMBEDDING)?.shape ?? [];
  const inner = tensors.get('transformer.h.0.mlp.c_fc.bias')?.shape.at(-1);
  const layers = [...tensors.keys()].filter((name) => name.endsWith('.attn.c_attn.weight')).length;
  if (width === undefined || inner === undefined || width % HEAD_WIDTH !== 0) {
    throw new UserError(
      `${path}: there is no config.json beside these weights, and they do not tell the number of heads; put the model's config.json into the same folder.`,
    );
  }
  return gpt2Config({
    vocab_size: vocabulary,
    n_positions: positions,
    n_embd: width,
    n_layer: layers,
    n_head: width / HEAD_WIDTH,
    ...(inner === 4 * width ? {} : { n_inner: inner }),
  });
}

/**
 * Loads the weights of a language model from a folder or a file, whatever its format, into one
 * buffer. 32-bit numbers are read straight into it, so there is no second copy in memory. An
 * adapter is merged into its base.
 *
 * @throws UserError where the file is damaged, or does not hold this model's tensors.
 */
export async function loadParameters(path: string): Promise<Parameters> {
  if (await isAdapter(path)) {
    const { config, sources } = await openParameters(path);
    const parameters = new Parameters(config);
    for (const parameter of parameters.layout) {
      await sources.get(parameter.name)?.readInto(parameters.view(parameter));
    }
    return parameters;
  }
  return (await readWeights(path, false)).parameters;
}

/** A language model's parameters, still in their files. */
export interface StoredParameters {
  readonly config: Gpt2Config;
  /** Exactly the model's parameters, by `transformers`' names. */
  readonly sources: ReadonlyMap<string, TensorSource>;
  /** The files they lie in. */
  readonly files: readonly string[];
}

/**
 * Opens the weights of a language model without reading them.
 *
 * @throws UserError as {@link loadParameters}.
 */
export async function openParameters(path: string): Promise<StoredParameters> {
  if (await isAdapter(path)) {
    const description = await describeAdapter(path);
    const base = await openParameters(description.basePath);
    const adapter = await loadAdapter(description, base.config);
    return {
      config: base.config,
      files: [await adapterFile(path), ...base.files],
      sources: mergedSources(base.sources, adapter),
    };
  }
  const config = await readConfig(path);
  const { tensors, files } = await openWeights(path);
  return { config, files, sources: await sanitize(tensors, parameterShapes(config), path) };
}

/** The weights of a GPT-2 with DialogRPT's head: a score is the last hidden state times `score`. */
export interface RankerWeights {
  readonly parameters: Parameters;
  /** `[n_embd]` */
  readonly score: Float32Array;
}

/**
 * Loads the weights of a ranking model (DialogRPT, `GPT2ForSequenceClassification`).
 *
 * @throws UserError as {@link loadParameters}, and where there is no ranking head.
 */
export async function loadRankerWeights(path: string): Promise<RankerWeights> {
  return readWeights(path, true);
}

async function readWeights(path: string, isRanker: boolean): Promise<RankerWeights> {
  const config = await readConfig(path);
  const { tensors } = await openWeights(path);
  if (config.n_layer > tensors.size) {
    throw new UserError(
      `${path}: there are ${tensors.size} tensors, but config.json says ${config.n_layer} layers; use the config.json that belongs to these weights.`,
    );
  }
  const shapes = new Map(parameterShapes(config));
  if (isRanker) shapes.set(RANKING_HEAD, [1, config.n_embd]);
  // Memory is taken only for what the files are known to hold.
  const sources = await sanitize(tensors, shapes, path);
  const parameters = new Parameters(config);
  for (const parameter of parameters.layout) {
    await sources.get(parameter.name)?.readInto(parameters.view(parameter));
  }
  const score = new Float32Array(isRanker ? config.n_embd : 0);
  if (isRanker) await sources.get(RANKING_HEAD)?.readInto(score);
  return { parameters, score };
}
