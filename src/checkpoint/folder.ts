import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError, withFileErrors } from '../base/errors.js';
import { exists, writeFileWhole } from '../base/files.js';
import { type Parameters } from '../model/index.js';
import {
  gpt2Tokenizer,
  loadTokenizer,
  saveVocabulary,
  type Tokenizer,
} from '../tokenizer/index.js';
import { loadParameters, loadRankerWeights, RANKING_HEAD } from './parameters.js';
import { writeSafetensors } from './safetensors.js';

/** A model with its tokenizer. */
export interface Checkpoint {
  readonly parameters: Parameters;
  readonly tokenizer: Tokenizer;
}

/** A ranking model with its tokenizer. */
export interface RankerCheckpoint extends Checkpoint {
  /** The ranking head: `[n_embd]`. */
  readonly score: Float32Array;
}

/**
 * Writes a checkpoint as a folder that Hugging Face's libraries open: configuration, tokenizer and
 * weights. Each file is written whole or not at all; the weights come last.
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
  const tensors = parameters.layout.map((parameter) => ({
    name: parameter.name,
    shape: parameter.shape,
    data: parameters.view(parameter),
  }));
  const isRanker = 'score' in checkpoint;
  if (isRanker) {
    const { score } = checkpoint;
    tensors.push({ name: RANKING_HEAD, shape: [1, score.length], data: score });
  }
  await writeJson(join(folder, 'config.json'), {
    ...config,
    architectures: [isRanker ? 'GPT2ForSequenceClassification' : 'GPT2LMHeadModel'],
    ...(isRanker ? { num_labels: 1, pad_token_id: config.eos_token_id } : {}),
    dtype: dtype === 'F16' ? 'float16' : 'float32',
  });
  await writeJson(join(folder, 'generation_config.json'), {
    bos_token_id: config.bos_token_id,
    eos_token_id: config.eos_token_id,
    pad_token_id: config.eos_token_id,
  });
  await saveVocabulary(folder, tokenizer.vocabulary, config.n_positions);
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, dtype);
}

async function writeJson(path: string, value: unknown): Promise<void> {
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

/** Loads a ranking model (DialogRPT's `.pth` files among them), as {@link loadCheckpoint}. */
export async function loadRanker(path: string): Promise<RankerCheckpoint> {
  return withTokenizer(path, await loadRankerWeights(path));
}

async function withTokenizer<T extends { readonly parameters: Parameters }>(
  path: string,
  weights: T,
): Promise<T & { readonly tokenizer: Tokenizer }> {
  const isFolder = await withFileErrors(path, async () => (await stat(path)).isDirectory());
  const tokenizer = await loadCheckpointTokenizer(isFolder ? path : dirname(path));
  const tokens = weights.parameters.config.vocab_size;
  if (tokenizer.size > tokens) {
    throw new UserError(
      `${path}: the tokenizer has ${tokenizer.size} tokens, but the model only ${tokens}; they do not belong together.`,
    );
  }
  return { ...weights, tokenizer };
}

/** The tokenizer that lies beside a model; GPT-2's own where there is none. */
export async function loadCheckpointTokenizer(folder: string): Promise<Tokenizer> {
  return (await exists(join(folder, 'vocab.json'))) ? loadTokenizer(folder) : gpt2Tokenizer();
}
