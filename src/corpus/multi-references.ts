import { createHash } from 'node:crypto';
import { messageOf, UserError } from '../base/errors.js';
import { readLines, writeFileWhole } from '../base/files.js';
import { readTextLines } from './text-lines.js';
import { pythonTrimEnd } from './python-text.js';

/** One context with everything people answered to it. */
export interface MultiReference {
  /** DSTC-7's name of the context, a sha224 in hexadecimal. */
  readonly key?: string;
  readonly context: string;
  readonly references: readonly ScoredReference[];
}

export interface ScoredReference {
  /** As in the list of ids; undefined where the file carries no scores. */
  readonly score?: string;
  readonly text: string;
}

/** Where to write; what is not given is not written. */
export interface MultiReferenceFiles {
  readonly scored: string;
  readonly plain: string;
  readonly dstc7?: string;
}

/** What was made, and what could not be. */
export interface MultiReferenceCounts {
  contexts: number;
  references: number;
  /** Contexts left out because their first reference is not in the data. */
  missingContexts: number;
  missingReferences: number;
  /** References left out because their context is another one. */
  mismatches: number;
}

/**
 * Makes the multi-reference test set (reddit_extractor/src/create-multiref.py and the Makefile's
 * `test.refs.txt`): `ids` names for each context its references and their scores, `data` are the
 * files of conversations with keys that `data extract` writes, compressed or not. Writes
 * `scored` (`context <tab> score|reference …`), `plain`, the same without scores, and `dstc7`, the
 * same with the context's sha224 before it.
 *
 * @throws UserError where a line of either is not in its format, or no context was found.
 */
export async function makeMultiReferences(
  ids: string,
  data: readonly string[],
  files: MultiReferenceFiles,
): Promise<MultiReferenceCounts> {
  const wanted = new Set<string>();
  for await (const { references } of readIds(ids)) {
    for (const { key } of references) wanted.add(key);
  }
  const found = await readWanted(data, wanted);
  const counts = {
    contexts: 0,
    references: 0,
    missingContexts: 0,
    missingReferences: 0,
    mismatches: 0,
  };
  let scored = '';
  let dstc7 = '';
  for await (const { references } of readIds(ids)) {
    const [first, ...others] = references;
    const conversation = first && found.get(first.key);
    if (first === undefined || conversation === undefined) {
      counts.missingContexts++;
      continue;
    }
    const kept: ScoredReference[] = [{ score: first.score, text: conversation.response }];
    for (const { score, key } of others) {
      const other = found.get(key);
      if (other === undefined) counts.missingReferences++;
      else if (other.context !== conversation.context) counts.mismatches++;
      else kept.push({ score, text: other.response });
    }
    counts.contexts++;
    counts.references += kept.length;
    const { context } = conversation;
    const key = createHash('sha224').update(context).digest('hex');
    scored += `${formatMultiReference({ context, references: kept })}\n`;
    dstc7 += `${formatMultiReference({ key, context, references: kept })}\n`;
  }
  if (counts.contexts === 0) {
    throw new UserError(
      `${data.join(', ')}: none of the references of ${ids} is there; extract the test months first (--preset test).`,
    );
  }
  await writeFileWhole(files.scored, scored);
  // The Makefile's sed: every run of digits before a bar goes, wherever it stands.
  await writeFileWhole(files.plain, scored.replace(/[0-9]+\|/g, ''));
  if (files.dstc7 !== undefined) await writeFileWhole(files.dstc7, dstc7);
  return counts;
}

interface IdLine {
  readonly references: readonly { readonly score: string; readonly key: string }[];
}

/** The lines of `test-multi-refs-ids.txt`: `multiref <tab> score,thread,parent,comment …`. */
async function* readIds(path: string): AsyncGenerator<IdLine, void, undefined> {
  for await (const { text, number } of readLines(path)) {
    const [, ...cells] = pythonTrimEnd(text).split('\t');
    const references = cells.map((cell) => {
      const comma = cell.indexOf(',');
      if (comma < 0) {
        throw new UserError(
          `${path}:${number}: expected "multiref <tab> score,thread,parent,comment …", found "${cell}"; give the file test-multi-refs-ids.txt.`,
        );
      }
      return { score: cell.slice(0, comma), key: cell.slice(comma + 1) };
    });
    yield { references };
  }
}

/** The conversations that are wanted, by key; quotation marks become straight, as there. */
async function readWanted(
  paths: readonly string[],
  wanted: ReadonlySet<string>,
): Promise<ReadonlyMap<string, { readonly context: string; readonly response: string }>> {
  const found = new Map<string, { context: string; response: string }>();
  for (const path of paths) {
    for await (const { text, number } of readTextLines(path)) {
      const cells = pythonTrimEnd(text).replace(/[“”]/g, '"').split('\t');
      const [key, context, response] = cells;
      if (
        key === undefined ||
        context === undefined ||
        response === undefined ||
        cells.length > 3
      ) {
        throw new UserError(
          `${path}:${number}: expected "key <tab> context <tab> response"; give the files of conv/ that data extract wrote.`,
        );
      }
      if (wanted.has(key)) found.set(key, { context, response });
    }
  }
  return found;
}

/**
 * One line of `test.scored_refs.txt`, of `test.refs.txt` where there are no scores, or of DSTC-7's
 * `test.refs` where there is a key.
 */
export function formatMultiReference({ key, context, references }: MultiReference): string {
  return [
    ...(key === undefined ? [] : [key]),
    context,
    ...references.map(({ score, text }) => (score === undefined ? text : `${score}|${text}`)),
  ].join('\t');
}

/**
 * Reads a multi-reference file: `context <tab> reference <tab> reference …`, with or without
 * `score|` before each reference. DSTC-7's `test.refs` (`key <tab> context <tab> score|response
 * …`) is read as well.
 *
 * @throws UserError that names the line where there is no reference.
 */
export async function* readMultiReferences(
  path: string,
): AsyncGenerator<MultiReference, void, undefined> {
  for await (const { text, number } of readTextLines(path)) {
    try {
      yield parseMultiReference(text);
    } catch (error) {
      throw new UserError(`${path}:${number}: ${messageOf(error)}`, { cause: error });
    }
  }
}

const SCORED = /^(-?\d+(?:\.\d+)?)\|(.*)$/s;
const DSTC7_KEY = /^[0-9a-f]{56}$/;

/** One line of a multi-reference file (see {@link readMultiReferences}). */
export function parseMultiReference(line: string): MultiReference {
  const cells = line.split('\t');
  const hasKey = cells.length > 2 && DSTC7_KEY.test(cells[0] ?? '');
  const key = hasKey ? cells.shift() : undefined;
  const [context, ...references] = cells;
  if (context === undefined || references.length === 0) {
    throw new UserError('expected "context <tab> reference …"; mend or remove the line.');
  }
  return {
    ...(key !== undefined && { key }),
    context,
    references: references.map((cell) => {
      const scored = SCORED.exec(cell);
      return scored === null ? { text: cell } : { score: scored[1] ?? '', text: scored[2] ?? '' };
    }),
  };
}
