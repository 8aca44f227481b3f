import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { exists, readJson, writeFileWhole } from '../base/files.js';
import { type Gpt2Config, gpt2Config, Parameters } from '../model/index.js';
import {
  gpt2Tokenizer,
  loadTokenizer,
  saveVocabulary,
  type Tokenizer,
} from '../tokenizer/index.js';
import { openSafetensors, writeSafetensors } from './safetensors.js';

/** A model with its tokenizer. */
export interface Checkpoint {
  readonly parameters: Parameters;
  readonly tokenizer: Tokenizer;
}

/** The file of a checkpoint that holds the weights. */
const WEIGHTS = 'model.safetensors';

/**
 * Writes a checkpoint as a folder that Hugging Face's libraries open: configuration, tokenizer and
 * weights. Each file is written whole or not at all; the weights come last.
 */
export async function saveCheckpoint(
  folder: string,
  { parameters, tokenizer }: Checkpoint,
): Promise<void> {
  const { config } = parameters;
  await writeJson(join(folder, 'config.json'), {
    architectures: ['GPT2LMHeadModel'],
    ...config,
    dtype: 'float32',
  });
  await writeJson(join(folder, 'generation_config.json'), {
    bos_token_id: config.bos_token_id,
    eos_token_id: config.eos_token_id,
    pad_token_id: config.eos_token_id,
  });
  await saveVocabulary(folder, tokenizer.vocabulary, config.n_positions);
  await writeSafetensors(
    join(folder, WEIGHTS),
    parameters.layout.map((parameter) => ({
      name: parameter.name,
      shape: parameter.shape,
      data: parameters.view(parameter),
    })),
  );
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileWhole(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Loads a checkpoint from a folder in Hugging Face's layout.
 *
 * @throws UserError naming the file that is missing, damaged or of another model.
 */
export async function loadCheckpoint(folder: string): Promise<Checkpoint> {
  const path = join(folder, 'config.json');
  if (!(await exists(path))) {
    throw new UserError(
      `${folder}: there is no config.json, so this is not a model; give a folder that \`dialogpt train\` wrote, or one in Hugging Face's layout.`,
    );
  }
  const config = gpt2Config(await readJson(path), path);
  const tokenizer = await loadCheckpointTokenizer(folder);
  if (tokenizer.size > config.vocab_size) {
    throw new UserError(
      `${folder}: the tokenizer has ${tokenizer.size} tokens, but the model only ${config.vocab_size}; they do not belong together.`,
    );
  }
  return { parameters: await loadParameters(join(folder, WEIGHTS), config), tokenizer };
}

/** The tokenizer that lies beside a model; GPT-2's own where there is none. */
export async function loadCheckpointTokenizer(folder: string): Promise<Tokenizer> {
  return (await exists(join(folder, 'vocab.json'))) ? loadTokenizer(folder) : gpt2Tokenizer();
}

async function loadParameters(path: string, config: Gpt2Config): Promise<Parameters> {
  const sources = await openSafetensors(path);
  const parameters = new Parameters(config);
  for (const parameter of parameters.layout) {
    const source = sources.get(parameter.name);
    if (source === undefined) {
      throw new UserError(
        `${path}: the tensor "${parameter.name}" is missing; this is not a GPT-2 model, or not all of it.`,
      );
    }
    if (source.shape.join() !== parameter.shape.join()) {
      throw new UserError(
        `${path}: "${parameter.name}" has shape [${source.shape.join(', ')}], but config.json says [${parameter.shape.join(', ')}]; they do not belong together.`,
      );
    }
    await source.readInto(parameters.view(parameter));
  }
  return parameters;
}
