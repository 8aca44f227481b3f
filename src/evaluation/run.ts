import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '../base/arrays.js';
import { UserError, withFileErrors } from '../base/errors.js';
import { cleanText } from './clean.js';
import {
  chooseReferences,
  dstcCorpus,
  HUMAN_RESPONSE,
  readKeyedReferences,
  readKeys,
} from './dstc.js';
import { type EvaluateOptions, evaluateSystems, type SystemCorpus } from './evaluate.js';
import type { Corpus } from './metric.js';
import type { PublishedName } from './report/published.js';
import type { Report } from './report/report.js';
import { pairTexts, type ParallelTexts, readTexts } from './texts.js';

/** What to evaluate, and how. */
export interface RunOptions extends EvaluateOptions {
  /** Files of references, a line an instance; or, with keys, one file of keyed references. */
  readonly references: readonly string[];
  /** The keys to be evaluated; with it or `lineKeys`, the references are keyed. */
  readonly keys?: string;
  /** The key of each line of the responses; by default `keys`. */
  readonly lineKeys?: string;
  /** References for each response, in turn; by default all, and with keys 6 as the original. */
  readonly referenceCount?: number;
  /** See {@link chooseReferences}; by default none, and with keys the second as the original. */
  readonly vsHuman?: number;
  readonly clean?: boolean;
  /** Only the first so many instances. */
  readonly lines?: number;
  /** Leaves out empty lines and lines that begin with "Val", as the original's batch_eval.py. */
  readonly dropLogLines?: boolean;
  readonly published?: PublishedName;
}

/** The number of references DSTC-7's script takes by default. */
export const DSTC_REFERENCES = 6;

/**
 * Evaluates files of responses.
 *
 * @param paths Files with a response a line, or folders whose `.txt` files are meant.
 * @throws UserError where a file is missing or files do not belong together.
 */
export async function evaluateFiles(
  paths: readonly string[],
  options: RunOptions,
): Promise<Report> {
  const files = (await Promise.all(paths.map(textFilesOf))).flat();
  const pair = await referencesOf(options);
  const systems: SystemCorpus[] = [];
  for (const path of files) {
    const texts = await readTexts(path);
    const kept = options.dropLogLines === true ? texts.filter((text) => !isLogLine(text)) : texts;
    const corpus = pair({ path, texts: kept });
    systems.push({ system: path, corpus: firstLines(corpus, options.lines) });
  }
  return {
    ...(await evaluateSystems(systems, options)),
    ...(options.published !== undefined && { published: options.published }),
  };
}

async function textFilesOf(path: string): Promise<string[]> {
  return withFileErrors(path, async () => {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => name.endsWith('.txt')).sort();
    if (names.length === 0) {
      throw new UserError(`${path}: there is no .txt file in this folder; put responses there.`);
    }
    return names.map((name) => join(path, name));
  });
}

/** Reads the references once, and puts any system's responses beside them. */
async function referencesOf(options: RunOptions): Promise<(responses: ParallelTexts) => Corpus> {
  const { references, keys, lineKeys, clean = false } = options;
  const keysOfLines = lineKeys ?? keys;
  if (keysOfLines !== undefined) {
    if (references.length !== 1) {
      throw new UserError(
        `With keys, the references are one file of keys and references, not ${references.length}; name one.`,
      );
    }
    const keyed = await readKeyedReferences(at(references, 0));
    const wanted = keys === undefined ? undefined : await readKeys(keys);
    const lines = { path: keysOfLines, texts: await readKeys(keysOfLines) };
    return (responses) =>
      dstcCorpus(responses, lines, keyed, {
        ...(wanted !== undefined && { keys: wanted }),
        referenceCount: options.referenceCount ?? DSTC_REFERENCES,
        vsHuman: options.vsHuman ?? HUMAN_RESPONSE,
        clean,
      });
  }
  const files = await Promise.all(
    references.map(async (path) => ({ path, texts: await readTexts(path) })),
  );
  const finish = (text: string): string => (clean ? cleanText(text) : text);
  const chosen = {
    referenceCount: options.referenceCount ?? references.length,
    vsHuman: options.vsHuman ?? -1,
  };
  const cleaned = files.map(({ path, texts }) => ({ path, texts: texts.map(finish) }));
  return (responses) => {
    const corpus = pairTexts({ path: responses.path, texts: responses.texts.map(finish) }, cleaned);
    return {
      hypotheses: corpus.hypotheses,
      references: corpus.references.map((texts) => chooseReferences(texts, chosen)),
    };
  };
}

function isLogLine(text: string): boolean {
  return text === '' || text.startsWith('Val');
}

function firstLines({ hypotheses, references }: Corpus, lines: number | undefined): Corpus {
  return { hypotheses: hypotheses.slice(0, lines), references: references.slice(0, lines) };
}
