import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import xxhash from 'xxhash-wasm';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.js';
import { readJson, writeFileWhole, writeFolderWhole } from '../base/files.js';
import {
  type Checkpoint,
  loadCheckpoint,
  loadRanker,
  openSafetensors,
  type RankerCheckpoint,
  saveCheckpoint,
  writeSafetensors,
} from '../checkpoint/index.js';
import { checkpointFolder, checkpointSteps, removeLeftOvers } from './checkpoints.js';
import { emptyWeights, type PairWeights } from './pair-model.js';
import type { RankingPair } from './ranking-pairs.js';
import { checksum, MOMENTS_FILE, STATE_FILE, TRAINING_FOLDER } from './state.js';

const count = z.number().int().nonnegative();

const validationSchema = z.object({
  step: count,
  loss: z.number(),
  accuracy: z.number(),
  best: z.boolean(),
});

const FORMATS = {
  ranker: 'dialogpt-ranker-training-1',
  preferences: 'dialogpt-preference-training-1',
} as const;

const stateSchema = z.object({
  format: z.enum(FORMATS),
  /** Optimizer steps done. */
  step: count,
  /** Seconds of training since the start, validations not counted. */
  seconds: z.number(),
  /** How many times dropout masks have been drawn; it says which come next. */
  draws: count,
  best: validationSchema.optional(),
  /** What decides how the run goes on. */
  settings: z.object({
    data: z.string(),
    seed: z.number(),
    batchSize: z.number(),
    learningRate: z.number(),
    maxGradientNorm: z.number(),
    /** What the loss is, where pairs train a language model. */
    preferences: z
      .object({
        reference: z.string(),
        beta: z.number(),
        rpoAlpha: z.number(),
        /** The learning rate falls to 0 by then. */
        steps: count,
      })
      .optional(),
  }),
  checksums: z.array(z.string()),
});

/** Where training on pairs stands, besides weights and moments. */
export type PairProgress = Omit<z.infer<typeof stateSchema>, 'format' | 'checksums'>;

/** The running means of Adam: of gradients and of their squares. */
export interface PairMoments {
  readonly first: PairWeights;
  readonly second: PairWeights;
}

/** What tells one set of pairs from another: a hash of all tokens. */
export async function fingerprint(...sets: readonly (readonly RankingPair[])[]): Promise<string> {
  const hash = (await xxhash()).create64();
  for (const pairs of sets) {
    hash.update(`${pairs.length}\n`);
    for (const { better, worse } of pairs) hash.update(`${better.join()};${worse.join()}\n`);
  }
  return hash.digest().toString(16);
}

/**
 * Saves a run as the checkpoint of its step: the model as it is, and `training/` with what going on
 * needs. It is written beside its place and renamed; older ones are removed then.
 */
export async function savePairRun(
  out: string,
  checkpoint: Checkpoint | RankerCheckpoint,
  moments: PairMoments,
  progress: PairProgress,
): Promise<void> {
  const { step } = progress;
  await writeFolderWhole(checkpointFolder(out, step), async (folder) => {
    await saveCheckpoint(folder, checkpoint);
    const training = join(folder, TRAINING_FOLDER);
    const named = (name: string, { parameters, score }: PairWeights) => [
      ...parameters.layout.map((parameter) => ({
        name: `${name}.${parameter.name}`,
        shape: parameter.shape,
        data: parameters.view(parameter),
      })),
      ...(score === undefined
        ? []
        : [{ name: `${name}.score`, shape: [1, score.length], data: score }]),
    ];
    await writeSafetensors(
      join(training, MOMENTS_FILE),
      [...named('first_moment', moments.first), ...named('second_moment', moments.second)],
      'F32',
    );
    const state: z.infer<typeof stateSchema> = {
      format: formatOf(checkpoint),
      ...progress,
      checksums: await checksums(checkpoint, moments),
    };
    await writeFileWhole(join(training, STATE_FILE), `${JSON.stringify(state, null, 2)}\n`);
  });
  for (const other of await checkpointSteps(out)) {
    if (other !== step) await rm(checkpointFolder(out, other), { recursive: true, force: true });
  }
}

/**
 * Reads the newest checkpoint of a run that is whole, the weights into `weights`.
 *
 * @param onNotice is told of each checkpoint that is damaged
 * @returns undefined if the run has none.
 * @throws UserError if all are damaged, or are of a model of another shape.
 */
export async function openPairRun(
  out: string,
  weights: PairWeights,
  onNotice: (sentence: string) => void = () => undefined,
): Promise<{ readonly progress: PairProgress; readonly moments: PairMoments } | undefined> {
  await removeLeftOvers(out);
  const steps = await checkpointSteps(out);
  for (const step of steps) {
    const folder = checkpointFolder(out, step);
    try {
      return await readRun(folder, weights);
    } catch (error) {
      onNotice(`${folder} cannot be used (${messageOf(error)})`);
    }
  }
  if (steps.length === 0) return undefined;
  throw new UserError(
    `${out}: none of its ${steps.length} checkpoints can be read; start anew with another --out.`,
  );
}

/**
 * The settings of a run that has begun, by its newest checkpoint that tells them; undefined if none
 * does. They are known at once, where opening the run takes weights and moments.
 */
export async function readPairSettings(
  out: string,
  weights: PairWeights,
): Promise<PairProgress['settings'] | undefined> {
  for (const step of await checkpointSteps(out)) {
    try {
      return (await readState(checkpointFolder(out, step), weights)).progress.settings;
    } catch {
      // What is wrong with it is said when the run is opened.
    }
  }
  return undefined;
}

async function readState(
  folder: string,
  weights: PairWeights,
): Promise<{ readonly progress: PairProgress; readonly checksums: readonly string[] }> {
  const path = join(folder, TRAINING_FOLDER, STATE_FILE);
  const parsed = stateSchema.safeParse(await readJson(path));
  if (!parsed.success) {
    throw new UserError(`${path}: this does not describe training on pairs.`);
  }
  const { format, checksums, ...progress } = parsed.data;
  if (format !== formatOf(weights)) {
    throw new UserError(`${path}: this is the training of another kind of model.`);
  }
  return { progress, checksums };
}

async function readRun(
  folder: string,
  weights: PairWeights,
): Promise<{ readonly progress: PairProgress; readonly moments: PairMoments }> {
  const { progress, checksums: expected } = await readState(folder, weights);
  const saved: PairWeights =
    weights.score === undefined ? await loadCheckpoint(folder) : await loadRanker(folder);
  if (saved.parameters.buffer.length !== weights.parameters.buffer.length) {
    throw new UserError(`${folder}: it belongs to a model of another size than --model.`);
  }
  const tensors = await openSafetensors(join(folder, TRAINING_FOLDER, MOMENTS_FILE));
  const read = async (name: string): Promise<PairWeights> => {
    const moments = emptyWeights(weights);
    const { parameters, score } = moments;
    for (const parameter of parameters.layout) {
      await tensors.get(`${name}.${parameter.name}`)?.readInto(parameters.view(parameter));
    }
    if (score !== undefined) await tensors.get(`${name}.score`)?.readInto(score);
    return moments;
  };
  const moments = { first: await read('first_moment'), second: await read('second_moment') };
  const found = await checksums(saved, moments);
  if (found.join() !== expected.join()) {
    throw new UserError(`${folder}: its numbers are not those that were saved.`);
  }
  weights.parameters.buffer.set(saved.parameters.buffer);
  if (saved.score !== undefined) weights.score?.set(saved.score);
  return { progress, moments };
}

function formatOf({ score }: PairWeights): z.infer<typeof stateSchema>['format'] {
  return score === undefined ? FORMATS.preferences : FORMATS.ranker;
}

async function checksums(weights: PairWeights, { first, second }: PairMoments): Promise<string[]> {
  const sums: string[] = [];
  for (const { parameters, score } of [weights, first, second]) {
    sums.push(await checksum(parameters));
    if (score !== undefined) sums.push(await checksum({ buffer: score }));
  }
  return sums;
}

/** Settings that may change, but then what follows is not what it would have been. */
const CHANGEABLE = { learningRate: '--lr', maxGradientNorm: 'the largest gradient norm' } as const;

/**
 * Compares the settings of a run with those that it is to go on with.
 *
 * @returns a sentence for each difference that makes it another run from here on.
 * @throws UserError for one with which it cannot go on.
 */
export function comparePairSettings(
  before: PairProgress['settings'],
  now: PairProgress['settings'],
): string[] {
  for (const [name, same] of [
    ['the pairs of --data and --validation-data', before.data === now.data],
    ['--seed', before.seed === now.seed],
    ['--batch', before.batchSize === now.batchSize],
    ['--model', before.preferences?.reference === now.preferences?.reference],
    ['--beta', before.preferences?.beta === now.preferences?.beta],
    ['--rpo-alpha', before.preferences?.rpoAlpha === now.preferences?.rpoAlpha],
    ['--steps', before.preferences?.steps === now.preferences?.steps],
  ] as const) {
    if (same) continue;
    throw new UserError(
      `${name} cannot change within a run; leave it as it was, or start a new run from these weights with --model.`,
    );
  }
  return (['learningRate', 'maxGradientNorm'] as const)
    .filter((key) => before[key] !== now[key])
    .map(
      (key) =>
        `${CHANGEABLE[key]} changes from ${before[key]} to ${now[key]}: from here on this is not the run that it would have been.`,
    );
}
