import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { at } from '../base/arrays.js';
import { UserError, withFileErrors } from '../base/errors.js';
import { readLines } from '../base/files.js';
import { parseContext, readContexts } from '../decoding/index.js';
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
import { type ModelRun, modelResponses } from './model-responses.js';
import { type MultiReferenceSet, readMultiReferenceSet } from './multi-references.js';
import type { PublishedName } from './report/published.js';
import type { Report } from './report/report.js';
import { checkLines, pairTexts, type ParallelTexts, readTexts } from './texts.js';

/** What to evaluate, and how. */
export interface RunOptions extends EvaluateOptions {
  /** Files of references, a line an instance; or, with keys, one file of keyed references. */
  readonly references: readonly string[];
  /** Whether the references are one multi-reference set, contexts included (`test.refs.txt`). */
  readonly multiReferences?: boolean;
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
  return reportOf(systems, options);
}

/** Where the conversations are that a model is evaluated on. */
export interface ModelEvaluationOptions extends RunOptions {
  /**
   * A file of conversations, one a line, for the lines of `references`; without it, the
   * references are a multi-reference set, which has them.
   */
  readonly contexts?: string;
}

/**
 * Lets a model respond, and evaluates its responses, a system for each preset.
 *
 * @throws UserError as {@link evaluateFiles} and {@link modelResponses} do.
 */
export async function evaluateModel(
  run: ModelRun,
  options: ModelEvaluationOptions,
): Promise<Report> {
  const { contexts: path, references, lines } = options;
  const multiReferences = path === undefined;
  const pair = await referencesOf({ ...options, multiReferences });
  const contexts = multiReferences
    ? conversationsOf(await readMultiReferenceSet(at(references, 0)))
    : await readContexts(readLines(path), path);
  // Before hours of work: whether there are references for all.
  const all = pair({ path: path ?? at(references, 0), texts: contexts.map(() => '') });
  const responses = await modelResponses(run, contexts.slice(0, lines));
  const systems = [...responses].map(([preset, texts]): SystemCorpus => ({
    system: `${basename(run.model)}, ${preset}`,
    corpus: {
      hypotheses: options.clean === true ? texts.map(cleanText) : texts,
      references: all.references.slice(0, lines),
    },
  }));
  return reportOf(systems, options);
}

/** The turns of a set's contexts. */
function conversationsOf({ path, contexts }: MultiReferenceSet): string[][] {
  return contexts.map((context, line) => {
    const turns = parseContext(context);
    if (turns.length === 0 || turns.at(-1)?.trim() === '') {
      throw new UserError(
        `${path}:${line + 1}: there is nothing to reply to; mend or remove the line.`,
      );
    }
    return turns;
  });
}

async function reportOf(systems: readonly SystemCorpus[], options: RunOptions): Promise<Report> {
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
  const finish = (text: string): string => (clean ? cleanText(text) : text);
  if (options.multiReferences === true) {
    if (references.length !== 1) {
      throw new UserError(
        `A multi-reference set is one file, not ${references.length}; name one, or give --contexts where the references are files with a line for each.`,
      );
    }
    const set = await readMultiReferenceSet(at(references, 0));
    const chosen = set.references.map((texts) =>
      chooseReferences(texts, {
        referenceCount: options.referenceCount ?? texts.length,
        vsHuman: options.vsHuman ?? -1,
      }).map(finish),
    );
    return (responses) => {
      checkLines(responses, { path: set.path, texts: set.contexts });
      return { hypotheses: responses.texts.map(finish), references: chosen };
    };
  }
  const files = await Promise.all(
    references.map(async (path) => ({ path, texts: await readTexts(path) })),
  );
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
