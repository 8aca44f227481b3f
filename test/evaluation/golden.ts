import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Corpus } from '../../src/evaluation/index.js';
import { golden } from '../support/files.js';

function read<T>(name: string, schema: z.ZodType<T>): T {
  const value: unknown = JSON.parse(readFileSync(golden('evaluation', name), 'utf8'));
  return schema.parse(value);
}

const numbers = z.array(z.number());
const meteorScores = z.object({ score: z.number(), segments: numbers });

/** The golden texts: 240 hypotheses with four references each. */
export function goldenCorpus(): Corpus {
  return read(
    'texts.json',
    z.object({ hypotheses: z.array(z.string()), references: z.array(z.array(z.string())) }),
  );
}

const scoresSchema = z.object({
  nist: numbers,
  bleu: numbers,
  entropy: numbers,
  distinct: numbers,
  avgLength: z.number(),
  sacreBleu: z.number(),
  chrf: z.number(),
  rougeL: z.number(),
  cider: z.number(),
  meteor: z.object({
    withParaphrases: meteorScores,
    withoutParaphrases: meteorScores,
    withoutData: meteorScores,
  }),
});

/** What the reference tools say of the golden texts. */
export function goldenScores(): z.infer<typeof scoresSchema> {
  return read('scores.json', scoresSchema);
}

/** Texts and what the original's `clean_str` makes of them. */
export function goldenCleaning(): [string, string][] {
  return read('clean.json', z.array(z.tuple([z.string(), z.string()])));
}
