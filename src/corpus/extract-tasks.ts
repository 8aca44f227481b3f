import { z } from 'zod';

/** What goes between a month's main thread and its workers. */

const bytesSchema = z.instanceof(Uint8Array<ArrayBufferLike>);

export const rulesSchema = z.object({
  maxLen: z.number(),
  maxLenType: z.enum(['w', 'c']),
  minDepth: z.number(),
  maxDepth: z.number(),
  minScore: z.number(),
  useTitle: z.boolean(),
  leavesOnly: z.boolean(),
  clean: z.boolean(),
  splitSize: z.number(),
  blockedWords: z.array(z.string()).readonly().exactOptional(),
  blockedSubreddits: z.array(z.string()).readonly().exactOptional(),
});

/** What every task of a month shares. */
export const monthSchema = z.object({
  rules: rulesSchema,
  partitions: z.number(),
  /** The file that holds the partitions' rows. */
  rowsPath: z.string(),
  keepKeys: z.instanceof(Uint32Array<ArrayBufferLike>).optional(),
  discardTargetKeys: z.instanceof(Uint32Array<ArrayBufferLike>).optional(),
});
export type MonthData = z.infer<typeof monthSchema>;

/** Where a piece of a partition's rows lies in the rows file. */
export const extentSchema = z.object({ offset: z.number(), length: z.number() });
export type Extent = z.infer<typeof extentSchema>;

export const taskSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('rows'),
    dump: z.enum(['submissions', 'comments']),
    bytes: bytesSchema,
  }),
  z.object({
    kind: z.literal('partition'),
    /** Where the rows are in the rows file; none where they are all in memory. */
    extents: z.array(extentSchema),
    /** Rows in memory. */
    pieces: z.array(bytesSchema),
  }),
]);
export type ExtractTask = z.infer<typeof taskSchema>;

export const rowsSchema = z.object({
  lines: z.number(),
  broken: z.number(),
  kept: z.number(),
  bytes: bytesSchema,
  ends: z.instanceof(Uint32Array<ArrayBuffer>),
});

const skipReasons = [
  'missing',
  'bad_subreddit',
  'low_score',
  'exception',
  'min_depth',
  'offensive',
  'emptytarget',
  'longword',
  'toolong',
  'url',
  'tags',
  'allcaps',
  'repetitions',
] as const;
/** Why the original leaves a conversation out, in the words of its log. */
export type SkipReason = (typeof skipReasons)[number];

export const conversationCountsSchema = z.object({
  /** Comments whose thread is among the submissions kept. */
  comments: z.number(),
  conversations: z.number(),
  /** Words of all responses, weights among them. */
  responseWords: z.number(),
  skips: z.partialRecord(z.enum(skipReasons), z.number()),
});

export const partitionSchema = conversationCountsSchema.extend({
  lines: z.instanceof(Uint8Array<ArrayBuffer>),
});
