import { z } from 'zod';
import { UserError } from '../../base/errors.js';
import { readJson } from '../../base/files.js';
import type { Importer } from './importer.js';

const fileSchema = z.record(
  z.string(),
  z.object({ content: z.array(z.object({ message: z.string(), agent: z.string() })) }),
);

/** Topical-Chat's conversation files (Gopalakrishnan et al., 2019): `train.json`, `valid_freq.json`, … */
export const topicalChat: Importer = {
  description: "Topical-Chat's conversations (train.json, valid_freq.json, …)",
  async *read(path) {
    const parsed = fileSchema.safeParse(await readJson(path));
    if (!parsed.success) {
      throw new UserError(
        `${path}: this is not a Topical-Chat conversation file (${z.prettifyError(parsed.error).split('\n', 2).join(' ')}); give one from its conversations folder.`,
      );
    }
    for (const { content } of Object.values(parsed.data)) {
      yield content.map(({ message, agent }) => ({ speaker: agent, text: message }));
    }
  },
};
