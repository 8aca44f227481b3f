import { join } from 'node:path';
import xxhash from 'xxhash-wasm';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { readJson, writeFileWhole } from '../base/files.js';
import {
  type Checkpoint,
  loadAdapterCheckpoint,
  loadCheckpoint,
  openSafetensors,
  writeSafetensors,
} from '../checkpoint/index.js';
import { ParameterBuffer } from '../model/index.js';
import { DEVICES } from '../runtime/index.js';
import type { Moments } from './learner.js';
import { SCHEDULES } from './schedule.js';

/** The folder inside a checkpoint that holds what going on needs besides the weights. */
export const TRAINING_FOLDER = 'training';
/** The file in it that says where the run stands. */
export const STATE_FILE = 'state.json';
/** The file in it with the optimizer's running means. */
export const MOMENTS_FILE = 'optimizer.safetensors';

const count = z.number().int().nonnegative();

/** A perplexity; JSON writes an endless one as null. */
const perplexity = z
  .number()
  .nullable()
  .transform((value) => value ?? Infinity);

const validationSchema = z.object({
  step: count,
  loss: z.number(),
  perplexity,
  sequencePerplexity: perplexity,
  labels: count,
});

/** Where a run stands: all that decides how it goes on, besides weights and moments. */
export const progressSchema = z.object({
  /** Optimizer steps done. */
  step: count,
  /** Counted from 1. */
  epoch: z.number().int().positive(),
  /** Batches of this epoch done. */
  batchesOfEpoch: count,
  /** Batches done since the start; it also says which dropout masks come next. */
  batches: count,
  /** Tokens trained on since the start. */
  tokens: count,
  /** Seconds of training since the start. */
  seconds: z.number(),
  /** The factor that the loss is multiplied by in half precision; null in full precision. */
  lossScale: z.number().nullable(),
  /** Steps since the gradients last overflowed in half precision. */
  goodSteps: count.default(0),
  /** The running means of the log. */
  means: z.object({
    batches: count,
    loss: z.number(),
    perplexity: z.number(),
    tokens: count,
    places: count,
    seconds: z.number(),
  }),
  /** The last validation. */
  validation: validationSchema.optional(),
  /** The validation with the lowest loss. */
  best: validationSchema.optional(),
  /** Validations since the best one. */
  withoutImprovement: count,
});

/** Where a run stands. */
export type Progress = z.infer<typeof progressSchema>;

const settingsSchema = z.object({
  data: z.string(),
  seed: z.number(),
  trainBatchSize: z.number(),
  gradientAccumulationSteps: z.number(),
  noTokenId: z.boolean(),
  numOptimSteps: z.number(),
  learningRate: z.number(),
  lrSchedule: z.enum(SCHEDULES),
  warmupSteps: z.number(),
  warmupProportion: z.number(),
  adam: z.string(),
  device: z.enum(DEVICES),
  threads: z.number(),
  fp16: z.boolean().default(false),
  lossScale: z.number().default(0),
});

const stateSchema = z.object({
  format: z.literal('dialogpt-training-1'),
  progress: progressSchema,
  settings: settingsSchema,
  command: z.record(z.string(), z.string()),
  checksums: z.object({
    /** Of what is trained. */
    weights: z.string(),
    /** Of the model that an adapter belongs to. */
    base: z.string().optional(),
    firstMoments: z.string(),
    secondMoments: z.string(),
  }),
});

/** What `training/state.json` says. */
export type StateFile = z.infer<typeof stateSchema>;

/** A saved run, ready to go on. */
export interface TrainingState extends StateFile {
  /** The checkpoint that it was read from. */
  readonly folder: string;
  readonly checkpoint: Checkpoint;
  readonly firstMoments: ParameterBuffer;
  readonly secondMoments: ParameterBuffer;
}

/** Writes `training/` into a checkpoint's folder; the state comes last. */
export async function saveState(
  folder: string,
  { parameters, adapter }: Checkpoint,
  { firstMoments, secondMoments }: Moments,
  state: Omit<StateFile, 'format' | 'checksums'>,
): Promise<void> {
  const training = join(folder, TRAINING_FOLDER);
  const named = (name: string, moments: ParameterBuffer) =>
    moments.layout.map((parameter) => ({
      name: `${name}.${parameter.name}`,
      shape: parameter.shape,
      data: moments.view(parameter),
    }));
  await writeSafetensors(
    join(training, MOMENTS_FILE),
    [...named('first_moment', firstMoments), ...named('second_moment', secondMoments)],
    'F32',
  );
  const file: StateFile = {
    format: 'dialogpt-training-1',
    ...state,
    checksums: {
      weights: await checksum(adapter ?? parameters),
      ...(adapter === undefined ? {} : { base: await checksum(parameters) }),
      firstMoments: await checksum(firstMoments),
      secondMoments: await checksum(secondMoments),
    },
  };
  await writeFileWhole(join(training, STATE_FILE), `${JSON.stringify(file, null, 2)}\n`);
}

/**
 * Reads a checkpoint with its training state.
 *
 * @throws UserError where something is missing or not what was written.
 */
export async function loadState(folder: string): Promise<TrainingState> {
  const training = join(folder, TRAINING_FOLDER);
  const path = join(training, STATE_FILE);
  const parsed = stateSchema.safeParse(await readJson(path));
  if (!parsed.success) {
    throw new UserError(`${path}: this does not describe a training run.`);
  }
  const { checksums } = parsed.data;
  const checkpoint = (await loadAdapterCheckpoint(folder)) ?? (await loadCheckpoint(folder));
  const { parameters, adapter } = checkpoint;
  const trained = adapter ?? parameters;
  if (adapter !== undefined && (await checksum(parameters)) !== checksums.base) {
    throw new UserError(`${folder}: the model that it belongs to, ${adapter.base}, has changed.`);
  }
  const moments = await openSafetensors(join(training, MOMENTS_FILE));
  const read = async (name: string): Promise<ParameterBuffer> => {
    const buffer = new ParameterBuffer(trained.layout);
    for (const parameter of trained.layout) {
      await moments.get(`${name}.${parameter.name}`)?.readInto(buffer.view(parameter));
    }
    return buffer;
  };
  const firstMoments = await read('first_moment');
  const secondMoments = await read('second_moment');
  const damaged =
    (await checksum(trained)) !== checksums.weights ||
    (await checksum(firstMoments)) !== checksums.firstMoments ||
    (await checksum(secondMoments)) !== checksums.secondMoments;
  if (damaged) throw new UserError(`${folder}: its numbers are not those that were saved.`);
  return { ...parsed.data, folder, checkpoint, firstMoments, secondMoments };
}

/** Bytes hashed at once; the hash copies them into memory of its own. */
const STRETCH = 1 << 20;

/** A hash of numbers as they lie in memory. */
export async function checksum({ buffer }: Pick<ParameterBuffer, 'buffer'>): Promise<string> {
  const hash = (await xxhash()).create64();
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  for (let start = 0; start < bytes.length; start += STRETCH) {
    hash.update(bytes.subarray(start, start + STRETCH));
  }
  return hash.digest().toString(16);
}
