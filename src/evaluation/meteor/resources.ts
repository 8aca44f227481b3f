import { join } from 'node:path';
import { UserError } from '../../base/errors.js';
import { exists, readText } from '../../base/files.js';
import { Pieces } from '../words.js';
import { type NonbreakingPrefixes, Normalizer } from './normalize.js';
import { type ParaphraseTable, readParaphrases } from './paraphrases.js';
import { SynonymDictionary } from './synonyms.js';

/** What METEOR knows of English besides the stemmer. */
export interface MeteorResources {
  /** Words that carry little meaning; they count less. */
  readonly functionWords: ReadonlySet<string>;
  /** Abbreviations that keep their dot. */
  readonly prefixes: NonbreakingPrefixes;
  /** Without it, synonyms are not matched. */
  readonly synonyms?: SynonymDictionary;
  /** Without it, paraphrases are not matched. */
  readonly paraphrases?: ParaphraseTable;
}

/** METEOR without any data: words match exactly or by their stem. */
export const NO_METEOR_RESOURCES: MeteorResources = {
  functionWords: new Set(),
  prefixes: new Map(),
};

const PARAPHRASE_FILE = 'paraphrase-en.gz';

/** Where METEOR's data is to be had. */
export const METEOR_DATA_ADVICE =
  'download meteor-1.5.tar.gz from https://www.cs.cmu.edu/~alavie/METEOR/ and unpack both it and ' +
  'the meteor-1.5.jar in it into one folder (a jar is a zip file), or check out ' +
  'https://github.com/cmu-mtlab/meteor';

/**
 * Reads METEOR 1.5's English resources from a folder laid out as its release (or as its source,
 * where they lie under `resources/`): `function/english.words`, `nonbreaking/english.prefixes`,
 * `synonym/english.synsets` and `english.exceptions`; and, where it is there, the paraphrase table
 * `paraphrase-en.gz` (in the folder, in `data/` or in `paraphrase/`).
 *
 * @param texts All texts that will be compared: of the paraphrases, only those that can occur in
 *   them are kept.
 * @throws UserError where a file is missing.
 */
export async function readMeteorResources(
  folder: string,
  texts: Iterable<string>,
): Promise<MeteorResources> {
  const home = await findFirst(
    [folder, join(folder, 'resources')],
    join('function', 'english.words'),
  );
  if (home === undefined) {
    throw new UserError(
      `${folder}: METEOR's data is not here (function/english.words is missing); ${METEOR_DATA_ADVICE}.`,
    );
  }
  const read = (...parts: string[]): Promise<string> => readText(join(home, ...parts));
  const prefixes = parsePrefixes(await read('nonbreaking', 'english.prefixes'));
  const words = await read('function', 'english.words');
  const synonyms = new SynonymDictionary(
    await read('synonym', 'english.synsets'),
    await read('synonym', 'english.exceptions'),
  );
  const places = [folder, join(folder, 'data'), join(folder, 'paraphrase')];
  const place = await findFirst(places, PARAPHRASE_FILE);
  return {
    functionWords: new Set(words.split(/\r?\n/).filter((word) => word !== '')),
    prefixes,
    synonyms,
    ...(place !== undefined && {
      paraphrases: await readParaphrases(
        join(place, PARAPHRASE_FILE),
        vocabularyOf(texts, prefixes),
      ),
    }),
  };
}

function vocabularyOf(texts: Iterable<string>, prefixes: NonbreakingPrefixes): Set<string> {
  const normalizer = new Normalizer(prefixes, new Pieces(), (word) => word);
  const vocabulary = new Set<string>();
  for (const text of texts) for (const word of normalizer.words(text)) vocabulary.add(word);
  return vocabulary;
}

async function findFirst(folders: readonly string[], file: string): Promise<string | undefined> {
  for (const folder of folders) if (await exists(join(folder, file))) return folder;
  return undefined;
}

function parsePrefixes(text: string): NonbreakingPrefixes {
  const prefixes = new Map<string, 'always' | 'before number'>();
  for (const line of text.split(/\r?\n/)) {
    const [prefix, mark] = line.split(/\s+/).filter((word) => word !== '');
    if (prefix === undefined || prefix.startsWith('#')) continue;
    prefixes.set(prefix, mark === '#NUMERIC_ONLY#' ? 'before number' : 'always');
  }
  return prefixes;
}
