import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError, withFileErrors } from '../base/errors.js';
import { writeFileWhole } from '../base/files.js';
import { type Gpt2Config, type LoraAdapter, Parameters } from '../model/index.js';
import {
  gpt2Tokenizer,
  hasTokenizer,
  loadTokenizer,
  saveVocabulary,
  type Tokenizer,
} from '../tokenizer/index.js';
import { describeAdapter, isAdapter, loadAdapter, saveAdapter } from './adapter.js';
import { openGraphWeights } from './graph-weights.js';
import { writeInt8 } from './int8.js';
import { loadParameters, loadRankerWeights, RANKING_HEAD, readConfig } from './parameters.js';
import { writeSafetensors } from './safetensors.js';
import type { DecodingType, GraphWeights } from './stored-weights.js';

/** A model with its tokenizer. */
export interface Checkpoint {
  /** The model's; those of the base where there is an adapter. */
  readonly parameters: Parameters;
  readonly tokenizer: Tokenizer;
  /** What is trained in place of the parameters. */
  readonly adapter?: LoraAdapter;
}

/** A ranking model with its tokenizer. */
export interface RankerCheckpoint extends Omit<Checkpoint, 'adapter'> {
  /** The ranking head: `[n_embd]`. */
  readonly score: Float32Array;
}

/**
 * Writes a checkpoint as a folder that Hugging Face's libraries open: configuration, tokenizer and
 * weights. Each file is written whole or not at all; the weights come last. Of a model with an
 * adapter, the adapter alone is written, as PEFT does, and the tokenizer.
 *
 * @param dtype what the weights are written as: 32-bit numbers or halves.
 */
export async function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint | RankerCheckpoint,
  dtype: 'F32' | 'F16' = 'F32',
): Promise<void> {
  const { parameters, tokenizer } = checkpoint;
  const { config } = parameters;
  const isRanker = 'score' in checkpoint;
  if (!isRanker && checkpoint.adapter !== undefined) {
    await saveVocabulary(folder, tokenizer.vocabulary, config.n_positions);
    await saveAdapter(folder, checkpoint.adapter, dtype);
    return;
  }
  const tensors = parameters.layout.map((parameter) => ({
    name: parameter.name,
    shape: parameter.shape,
    data: parameters.view(parameter),
  }));
  if (isRanker) {
    const { score } = checkpoint;
    tensors.push({ name: RANKING_HEAD, shape: [1, score.length], data: score });
  }
  await saveAllButWeights(folder, config, tokenizer, isRanker, dtype);
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, dtype);
}

async function saveAllButWeights(
  folder: string,
  config: Gpt2Config,
  tokenizer: Tokenizer,
  isRanker: boolean,
  dtype: 'F32' | 'F16' | 'int8',
): Promise<void> {
  await writeJson(join(folder, 'config.json'), modelConfig(config, isRanker, dtype));
  await saveGenerationConfig(folder, config);
  await saveVocabulary(folder, tokenizer.vocabulary, config.n_positions);
}

/**
 * Writes a language model as a folder as {@link saveCheckpoint} does, with its weights in 8 bits
 * (see `writeInt8`). It takes a quarter of the room; we open it as any other, and its configuration
 * says `quantization: int8`, as Python's `transformers` cannot read it.
 *
 * @param path the model, a folder or file of weights in any format
 */
export async function saveInt8Checkpoint(folder: string, path: string): Promise<void> {
  const config = await readConfig(path);
  const tokenizer = await openTokenizer(path, config);
  await saveAllButWeights(folder, config, tokenizer, false, 'int8');
  await writeInt8(path, join(folder, 'model.safetensors'));
}

/**
 * A configuration as `config.json` holds it, with the class of model that it belongs to. What the
 * model that it came from says of its own 8-bit weights is left out, unless these are such too.
 */
export function modelConfig(
  config: Gpt2Config,
  isRanker = false,
  dtype: 'F32' | 'F16' | 'int8' = 'F32',
): object {
  return {
    ...config,
    architectures: [isRanker ? 'GPT2ForSequenceClassification' : 'GPT2LMHeadModel'],
    ...(isRanker ? { num_labels: 1, pad_token_id: config.eos_token_id } : {}),
    dtype: dtype === 'F16' ? 'float16' : 'float32',
    // JSON leaves out what is undefined.
    quantization: dtype === 'int8' ? 'int8' : undefined,
  };
}

/** The file that says how a model replies best. */
export const GENERATION_CONFIG = 'generation_config.json';

/** Writes `generation_config.json`. */
export async function saveGenerationConfig(folder: string, config: Gpt2Config): Promise<void> {
  await writeJson(join(folder, GENERATION_CONFIG), {
    bos_token_id: config.bos_token_id,
    eos_token_id: config.eos_token_id,
    pad_token_id: config.eos_token_id,
  });
}

/** Writes a JSON file, indented by two spaces. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileWhole(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Loads a checkpoint: a folder in Hugging Face's layout or a single file of weights, in any format
 * that {@link openWeights} opens.
 *
 * @throws UserError naming the file that is missing, damaged or of another model.
 */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  return withTokenizer(path, { parameters: await loadParameters(path) });
}

/**
 * Loads an adapter with its base, apart from each other, to go on training; undefined where the
 * folder holds a whole model.
 *
 * @throws UserError as {@link loadCheckpoint}.
 */
export async function loadAdapterCheckpoint(
  folder: string,
): Promise<(Checkpoint & { readonly adapter: LoraAdapter }) | undefined> {
  if (!(await isAdapter(folder))) return undefined;
  const description = await describeAdapter(folder);
  const base = await withTokenizer(folder, {
    parameters: await loadParameters(description.basePath),
  });
  return { ...base, adapter: await loadAdapter(description, base.parameters.config) };
}

/** A model of its own in place of one with an adapter; memory for another model is taken. */
export function mergeAdapter(checkpoint: Checkpoint): Checkpoint {
  const { adapter, parameters, tokenizer } = checkpoint;
  if (adapter === undefined) return checkpoint;
  const merged = new Parameters(parameters.config);
  merged.buffer.set(parameters.buffer);
  adapter.mergeInto(merged);
  return { parameters: merged, tokenizer };
}

/** Loads a ranking model (DialogRPT's `.pth` files among them), as {@link loadCheckpoint}. */
export async function loadRanker(path: string): Promise<RankerCheckpoint> {
  return withTokenizer(path, await loadRankerWeights(path));
}

/** A language model to decode with. */
export interface DecodingModel {
  readonly weights: GraphWeights;
  readonly tokenizer: Tokenizer;
}

/**
 * Opens a language model to decode with, as {@link loadCheckpoint}, but without reading weights that
 * can be mapped where they lie; see {@link openGraphWeights}.
 */
export async function openForDecoding(path: string, dtype?: DecodingType): Promise<DecodingModel> {
  const weights = await openGraphWeights(path, dtype);
  return { weights, tokenizer: await openTokenizer(path, weights.config) };
}

async function withTokenizer<T extends { readonly parameters: Parameters }>(
  path: string,
  weights: T,
): Promise<T & { readonly tokenizer: Tokenizer }> {
  return { ...weights, tokenizer: await openTokenizer(path, weights.parameters.config) };
}

/**
 * The tokenizer of a model, GPT-2's own where none lies beside it.
 *
 * @param path a folder or file of weights
 * @throws UserError if it does not belong to the model.
 */
export async function openTokenizer(path: string, config: Gpt2Config): Promise<Tokenizer> {
  const isFolder = await withFileErrors(path, async () => (await stat(path)).isDirectory());
  const tokenizer = await loadCheckpointTokenizer(isFolder ? path : dirname(path));
  const tokens = config.vocab_size;
  if (tokenizer.size > tokens) {
    throw new UserError(
      `${path}: the tokenizer has ${tokenizer.size} tokens, but the model only ${tokens}; they do not belong together.`,
    );
  }
  return tokenizer;
}

/**
 * The tokenizer that lies beside a model, or beside an adapter's base; GPT-2's own where there is
 * none.
 *
 * @throws UserError if there is no such folder, or the tokenizer is damaged.
 */
export async function loadCheckpointTokenizer(folder: string): Promise<Tokenizer> {
  await withFileErrors(folder, () => readdir(folder));
  if (await hasTokenizer(folder)) return loadTokenizer(folder);
  if (!(await isAdapter(folder))) return gpt2Tokenizer();
  const { basePath } = await describeAdapter(folder);
  const isFolder = (await stat(basePath)).isDirectory();
  return loadCheckpointTokenizer(isFolder ? basePath : dirname(basePath));
}
