import { z } from 'zod';

const texts = z.array(z.string()).readonly();

const taskSchema = z.object({
  corpora: z
    .array(z.object({ hypotheses: texts, references: z.array(texts).readonly() }))
    .readonly(),
  meteorData: z.string().exactOptional(),
});

/** What METEOR's thread is to do. */
export type MeteorTask = z.infer<typeof taskSchema>;

/** A task, checked. */
export function meteorTask(data: unknown): MeteorTask {
  return taskSchema.parse(data);
}

const answerSchema = z.union([
  z.object({
    stages: z.string(),
    /** For each corpus, its instances' rows one after the other. */
    numbers: z.array(z.instanceof(Float64Array<ArrayBuffer>)),
  }),
  z.object({ message: z.string(), user: z.boolean() }),
]);

/** What METEOR's thread says: its numbers, or why there are none. */
export type MeteorAnswer = z.infer<typeof answerSchema>;

/** An answer, checked. */
export function meteorAnswer(message: unknown): MeteorAnswer {
  return answerSchema.parse(message);
}
