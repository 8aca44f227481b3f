import { readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type Checkpoint,
  freshCheckpoint,
  loadCheckpoint,
  loadCheckpointTokenizer,
  loadParameters,
  readConfig,
} from '../checkpoint/index.js';
import { trainTokenizer } from '../dataset/index.js';
import { type Gpt2Options, PUBLISHED_SIZES } from '../model/index.js';
import { gpt2Tokenizer } from '../tokenizer/index.js';
import { defined, UsageError } from './arguments.js';
import { findModel } from './find-model.js';
import type { DataSource } from './train-data.js';
import type { TrainFlags } from './train-flags.js';

/** Files of weights, as opposed to a configuration and a vocabulary alone. */
const WEIGHTS = /\.(?:safetensors|bin|pkl|pth|pt)$|\.index\.json$/;

/** What a run without a past starts from. */
export interface StartingPoint {
  /** Whether its weights are fresh. */
  readonly fresh: boolean;
  load(source: DataSource, seed: number): Promise<Checkpoint>;
}

/**
 * Decides what to start from: a model, the weights of `--init-checkpoint`, or fresh weights of a
 * model's shape or of one that the flags describe.
 */
export async function startingPoint(
  flags: TrainFlags,
  model: string | undefined,
): Promise<StartingPoint> {
  const { size, vocabSize, dropout, initCheckpoint } = flags;
  const shape: Gpt2Options = {
    ...(size === undefined ? {} : PUBLISHED_SIZES[size]),
    ...defined({
      n_layer: flags.nLayer,
      n_embd: flags.nEmbd,
      n_head: flags.nHead,
      n_positions: flags.nPositions,
      initializer_range: flags.initializerRange,
      embd_pdrop: dropout,
      attn_pdrop: dropout,
      resid_pdrop: dropout,
    }),
  };
  const described = Object.keys(shape).length > 0;
  if (model === undefined && initCheckpoint === undefined) {
    if (!described) {
      throw new UsageError(
        'Say what to train: --model FOLDER, --size small, or --n-layer, --n-embd and --n-head.',
      );
    }
    return { fresh: true, load: (source, seed) => describedModel(shape, vocabSize, source, seed) };
  }
  if (described || vocabSize !== undefined) {
    throw new UsageError(
      '--model starts from a trained model; leave out the flags of a fresh one.',
    );
  }
  const path = model === undefined ? undefined : await findModel(model);
  if (initCheckpoint !== undefined && initCheckpoint !== 'None') {
    return { fresh: false, load: () => initializedModel(path, initCheckpoint) };
  }
  if (path === undefined) {
    throw new UsageError('--init-checkpoint None needs --model, whose shape a fresh model takes.');
  }
  if (initCheckpoint === undefined && (await hasWeights(path))) {
    return { fresh: false, load: () => loadCheckpoint(path) };
  }
  return {
    fresh: true,
    load: async (_, seed) =>
      freshCheckpoint(await loadCheckpointTokenizer(path), await readConfig(path), seed),
  };
}

async function describedModel(
  shape: Gpt2Options,
  vocabSize: number | undefined,
  { path, isDataset }: DataSource,
  seed: number,
): Promise<Checkpoint> {
  if (vocabSize === undefined) {
    const tokenizer = isDataset ? await loadCheckpointTokenizer(path) : gpt2Tokenizer();
    return freshCheckpoint(tokenizer, shape, seed);
  }
  if (isDataset) {
    throw new UsageError(
      '--vocab-size learns a vocabulary from conversations, but --data is a dataset, whose tokens are fixed.',
    );
  }
  return freshCheckpoint(await trainTokenizer(path, vocabSize), shape, seed);
}

/** Weights of a file, with the tokenizer of the model whose folder was given, or beside it. */
async function initializedModel(model: string | undefined, file: string): Promise<Checkpoint> {
  const path = await findModel(file);
  const parameters = await loadParameters(path);
  const tokenizer = await loadCheckpointTokenizer(model ?? dirname(path));
  return { parameters, tokenizer };
}

async function hasWeights(path: string): Promise<boolean> {
  if (!(await stat(path)).isDirectory()) return true;
  return (await readdir(path)).some((name) => WEIGHTS.test(name));
}
