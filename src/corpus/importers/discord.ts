import { z } from 'zod';
import { UserError } from '../../base/errors.js';
import { readJson } from '../../base/files.js';
import type { Importer } from './importer.js';

const fileSchema = z.object({
  messages: z.array(
    z.object({
      type: z.string().optional(),
      timestamp: z.string(),
      content: z.string(),
      author: z.object({ id: z.string(), name: z.string(), isBot: z.boolean().optional() }),
    }),
  ),
});

/** Message types that people write; the rest are notices (joins, pins, calls). */
const SPOKEN = new Set(['Default', 'Reply']);

/** A Discord channel as DiscordChatExporter writes it in JSON; bots' messages are left out. */
export const discord: Importer = {
  description: 'a Discord channel, exported as JSON by DiscordChatExporter',
  async *read(path) {
    const parsed = fileSchema.safeParse(await readJson(path));
    if (!parsed.success) {
      throw new UserError(
        `${path}: this is not a Discord channel in DiscordChatExporter's JSON; export it again with --format Json.`,
      );
    }
    yield parsed.data.messages.flatMap(({ type, timestamp, content, author }) => {
      if (author.isBot === true || (type !== undefined && !SPOKEN.has(type))) return [];
      const time = Date.parse(timestamp);
      const message = { speaker: author.name, text: content };
      return [Number.isNaN(time) ? message : { ...message, time }];
    });
  },
};
