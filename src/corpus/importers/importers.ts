import { csv } from './csv.js';
import { discord } from './discord.js';
import type { Importer } from './importer.js';
import { jsonl } from './jsonl.js';
import { personalityChat } from './personality-chat.js';
import { syntheticPersonaChat } from './synthetic-persona-chat.js';
import { topicalChat } from './topical-chat.js';
import { tsv } from './tsv.js';
import { whatsapp } from './whatsapp.js';

/** Every importer, by the name that `dialogpt data import` knows it by. */
export const importers: ReadonlyMap<string, Importer> = new Map([
  ['jsonl', jsonl],
  ['csv', csv],
  ['tsv', tsv],
  ['discord', discord],
  ['whatsapp', whatsapp],
  ['topical-chat', topicalChat],
  ['synthetic-persona-chat', syntheticPersonaChat],
  ['personality-chat', personalityChat],
]);
