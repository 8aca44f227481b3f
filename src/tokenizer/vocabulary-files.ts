import { join } from 'node:path';
import { exists, readJson, readText, writeFileWhole } from '../base/files.js';
import { parseTokenizerJson } from './tokenizer-json.js';
import { Tokenizer } from './tokenizer.js';
import {
  END_OF_TEXT,
  mergesText,
  parseVocabulary,
  type Vocabulary,
  vocabularyJson,
} from './vocabulary.js';

/** Writes `vocab.json`, `merges.txt` and `tokenizer_config.json` as Hugging Face reads them. */
export async function saveVocabulary(
  folder: string,
  vocabulary: Vocabulary,
  longest: number,
): Promise<void> {
  await writeFileWhole(join(folder, 'vocab.json'), vocabularyJson(vocabulary));
  await writeFileWhole(join(folder, 'merges.txt'), mergesText(vocabulary));
  const config = {
    tokenizer_class: 'GPT2Tokenizer',
    add_prefix_space: false,
    bos_token: END_OF_TEXT,
    eos_token: END_OF_TEXT,
    unk_token: END_OF_TEXT,
    model_max_length: longest,
  };
  await writeFileWhole(
    join(folder, 'tokenizer_config.json'),
    `${JSON.stringify(config, undefined, 2)}\n`,
  );
}

const VOCABULARY = 'vocab.json';
const MERGES = 'merges.txt';
const WHOLE = 'tokenizer.json';

/** Each of these tells that a folder has a tokenizer. */
export const TOKENIZER_FILES: readonly string[] = [VOCABULARY, WHOLE];

/** Whether a tokenizer lies in a folder, whole or in part. */
export async function hasTokenizer(folder: string): Promise<boolean> {
  const found = await Promise.all(TOKENIZER_FILES.map((name) => exists(join(folder, name))));
  return found.includes(true);
}

/**
 * Reads `vocab.json` and `merges.txt` from a folder; where one of them is missing, `tokenizer.json`.
 *
 * @throws UserError where they are damaged, do not belong together, or are not GPT-2's kind.
 */
export async function loadVocabulary(folder: string): Promise<Vocabulary> {
  const names = { vocabulary: join(folder, VOCABULARY), merges: join(folder, MERGES) };
  const whole = join(folder, WHOLE);
  const parts = (await exists(names.vocabulary)) && (await exists(names.merges));
  if (!parts && (await exists(whole))) return parseTokenizerJson(await readJson(whole), whole);
  return parseVocabulary(await readJson(names.vocabulary), await readText(names.merges), names);
}

/** The tokenizer that lies in a folder; see {@link loadVocabulary}. */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  return new Tokenizer(await loadVocabulary(folder));
}
