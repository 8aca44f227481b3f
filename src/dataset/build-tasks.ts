import { z } from 'zod';
import { SPLITS } from './dataset.js';
import { LONG_MODES } from './split.js';

/** What goes between the thread that builds a dataset and its workers. */

/** What every block of lines shares. */
export const buildSettingsSchema = z.object({
  maxSequenceLength: z.number(),
  reverse: z.boolean(),
  twoTurn: z.boolean(),
  /** The most turns of an example, one cut of each conversation for each number; 0 is all. */
  maxTurns: z.array(z.number()).readonly(),
  long: z.enum(LONG_MODES),
  join: z.boolean(),
  normalizeData: z.boolean(),
  compat: z.boolean(),
  /** The share of conversations to hold out. */
  validation: z.number(),
});
export type BuildSettings = z.infer<typeof buildSettingsSchema>;

/** What a worker is started with. */
export const workerDataSchema = z.object({
  settings: buildSettingsSchema,
  /** The folder that shards are written to. */
  folder: z.string(),
  /** The tokens of a vocabulary that is not GPT-2's. */
  tokens: z.array(z.array(z.number()).readonly()).readonly().optional(),
  /** One number in shared memory: the lines done so far by all workers. */
  linesDone: z.instanceof(Int32Array<ArrayBufferLike>),
});
export type BuildWorkerData = z.infer<typeof workerDataSchema>;

/** The lines of one block, and what its files are to be called. */
export const buildTaskSchema = z.object({
  bytes: z.instanceof(Uint8Array<ArrayBuffer>),
  first: z.number(),
  repeated: z.array(z.number()).readonly(),
  /** The split that all of it goes to, whatever the share to hold out. */
  split: z.enum(SPLITS).optional(),
  /** The number of the block, which its files bear. */
  block: z.number(),
});
export type BuildTask = z.infer<typeof buildTaskSchema>;

const splitCountsSchema = z.object({
  examples: z.number(),
  tokens: z.number(),
  labels: z.number(),
});

/** What became of a block of lines. */
export const blockResultSchema = z.object({
  counts: z.object({
    conversations: z.number(),
    repeated: z.number(),
    brokenLines: z.number(),
    withoutResponse: z.number(),
    dropped: z.number(),
    longTurns: z.number(),
  }),
  splits: z.object({ train: splitCountsSchema, validation: splitCountsSchema }),
  /** Where it found a line that cannot be read, and stopped. */
  broken: z.object({ line: z.number(), message: z.string() }).optional(),
  /** Seconds of its worker: making examples, and writing them. */
  seconds: z.object({ examples: z.number(), writing: z.number() }),
});
export type BlockResult = z.infer<typeof blockResultSchema>;

/** What a worker answers; an error that a person can mend loses its class on the way. */
export const blockAnswerSchema = z.union([blockResultSchema, z.object({ userError: z.string() })]);
