import { UserError } from '../base/errors.js';
import { readLines, writeFileWhole } from '../base/files.js';
import {
  formatDstc7,
  formatMultiReference,
  readMultiReferences,
  type ScoredReference,
} from './multi-reference-lines.js';
import { readTextLines } from './text-lines.js';
import { pythonTrimEnd } from './python-text.js';

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
 * same with the context's sha224 in its place.
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
    const made = { context: conversation.context, references: kept };
    scored += `${formatMultiReference(made)}\n`;
    dstc7 += `${formatDstc7(made)}\n`;
  }
  if (counts.contexts === 0) {
    throw new UserError(
      `${data.join(', ')}: none of the references of ${ids} is there; extract the test months first (--preset test).`,
    );
  }
  await writeFileWhole(files.scored, scored);
  await writeFileWhole(files.plain, withoutScores(scored));
  if (files.dstc7 !== undefined) await writeFileWhole(files.dstc7, dstc7);
  return counts;
}

/** The Makefile's sed: every run of digits before a bar goes, wherever it stands. */
function withoutScores(scored: string): string {
  return scored.replace(/[0-9]+\|/g, '');
}

/** How many contexts and references a file held. */
export interface ConvertedCounts {
  contexts: number;
  references: number;
}

/**
 * Writes a multi-reference file of any of the three forms in the others: `scored` and `plain` as
 * {@link makeMultiReferences} does, and `dstc7`. DSTC-7's files hold no contexts; those that
 * `contexts` does not tell are named by their keys.
 *
 * @param contexts lines of `key <tab> … <tab> context`, as DSTC-7's data has them
 * @throws UserError where a line is in none of the forms, or the file holds none.
 */
export async function convertMultiReferences(
  path: string,
  files: Partial<MultiReferenceFiles>,
  contexts?: string,
): Promise<ConvertedCounts> {
  const known = contexts === undefined ? new Map<string, string>() : await readContexts(contexts);
  const counts = { contexts: 0, references: 0 };
  let scored = '';
  let plain = '';
  let dstc7 = '';
  for await (const line of readMultiReferences(path)) {
    counts.contexts++;
    counts.references += line.references.length;
    const context = line.context ?? known.get(line.key ?? '');
    const named = { ...line, ...(context !== undefined && { context }) };
    const text = `${formatMultiReference(named)}\n`;
    scored += text;
    plain += line.references.every(({ score }) => score === undefined) ? text : withoutScores(text);
    dstc7 += `${formatDstc7(line)}\n`;
  }
  if (counts.contexts === 0) throw new UserError(`${path}: the file is empty.`);
  if (files.scored !== undefined) await writeFileWhole(files.scored, scored);
  if (files.plain !== undefined) await writeFileWhole(files.plain, plain);
  if (files.dstc7 !== undefined) await writeFileWhole(files.dstc7, dstc7);
  return counts;
}

async function readContexts(path: string): Promise<Map<string, string>> {
  const contexts = new Map<string, string>();
  for await (const { text, number } of readTextLines(path)) {
    const cells = text.split('\t');
    const [key = ''] = cells;
    const context = cells.at(-1);
    if (cells.length < 2 || context === undefined) {
      throw new UserError(`${path}:${number}: expected "key <tab> context"; mend the line.`);
    }
    contexts.set(key, context);
  }
  return contexts;
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
