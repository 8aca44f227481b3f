import { z } from 'zod';
import { UserError } from '../../base/errors.js';
import { readJson } from '../../base/files.js';
import type { Importer } from './importer.js';

const messageSchema = z.object({
  type: z.union([z.string(), z.number()]).nullish(),
  timestamp: z.string(),
  content: z.string().nullish(),
  author: z
    .object({
      name: z.string().nullish(),
      nickname: z.string().nullish(),
      id: z.string().nullish(),
    })
    .extend({ isBot: z.boolean().nullish() })
    .nullish(),
  mentions: z.array(z.object({ id: z.string(), name: z.string() })).nullish(),
});

const fileSchema = z.object({ messages: z.array(messageSchema) });

/** Message types that people write; the rest are notices (joins, pins, calls). */
const SPOKEN: ReadonlySet<string> = new Set(['Default', 'Reply', '0', '19']);

/**
 * A Discord channel as DiscordChatExporter writes it in JSON. Bots' messages, notices and messages
 * that are only an attachment, a sticker or an embed are left out.
 */
export const discord: Importer = {
  description: 'a Discord channel, exported as JSON by DiscordChatExporter',
  async *read(path) {
    const parsed = fileSchema.safeParse(await readJson(path));
    if (!parsed.success) {
      throw new UserError(
        `${path}: this is not a Discord channel in DiscordChatExporter's JSON; export it again with --format Json.`,
      );
    }
    yield parsed.data.messages.flatMap(({ type, timestamp, content, author, mentions }) => {
      const spoken = SPOKEN.has(String(type ?? 'Default'));
      if (author?.isBot === true || !spoken || (content ?? '') === '') return [];
      const names = new Map((mentions ?? []).map(({ id, name }) => [id, name]));
      const time = Date.parse(timestamp);
      const message = {
        speaker: author?.name ?? author?.id ?? 'deleted user',
        text: plainText(content ?? '', names),
      };
      return [Number.isNaN(time) ? message : { ...message, time }];
    });
  },
};

/** Discord's marks for emoji, people, channels and times, as they are read. */
function plainText(content: string, names: ReadonlyMap<string, string>): string {
  return content
    .replace(/<a?(:\w+:)\d+>/g, '$1')
    .replace(/<@!?(\d+)>/g, (_, id: string) => (names.has(id) ? `@${names.get(id) ?? ''}` : ''))
    .replace(/<(?:#|@&|t:)-?\d+(?::\w)?>/g, '');
}
