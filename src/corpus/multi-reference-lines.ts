import { createHash } from 'node:crypto';
import { messageOf, UserError } from '../base/errors.js';
import { readTextLines } from './text-lines.js';

/** One context with everything people answered to it. */
export interface MultiReference {
  /** DSTC-7's name of the context, a sha224 in hexadecimal. */
  readonly key?: string;
  /** Not in DSTC-7's files, which name contexts by their keys alone. */
  readonly context?: string;
  readonly references: readonly ScoredReference[];
}

export interface ScoredReference {
  /** As in the list of ids; undefined where the file carries no scores. */
  readonly score?: string;
  readonly text: string;
}

/**
 * One line of `test.scored_refs.txt`, or of `test.refs.txt` where there are no scores. A context
 * that is not known is named by its key.
 */
export function formatMultiReference({ key, context, references }: MultiReference): string {
  return [context ?? key ?? '', ...references.map(formatReference)].join('\t');
}

/**
 * One line of DSTC-7's `test.refs`: `key <tab> score|response …` (ids2refs.py there). The key is
 * the context's sha224 unless it has one; a reference without a score gets the score 1.
 */
export function formatDstc7({ key, context, references }: MultiReference): string {
  const name =
    key ??
    createHash('sha224')
      .update(context ?? '')
      .digest('hex');
  const scored = references.map(({ score = '1', text }) => formatReference({ score, text }));
  return [name, ...scored].join('\t');
}

function formatReference({ score, text }: ScoredReference): string {
  return score === undefined ? text : `${score}|${text}`;
}

const SCORED = /^(-?\d+(?:\.\d+)?)\|(.*)$/s;
const DSTC7_KEY = /^[0-9a-f]{56}$/;

/**
 * Reads a multi-reference file: `context <tab> reference …`, with or without `score|` before each
 * reference, or DSTC-7's `test.refs`, whose lines begin with a key in place of a context.
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

/** One line of a multi-reference file (see {@link readMultiReferences}). */
export function parseMultiReference(line: string): MultiReference {
  const [first, ...references] = line.split('\t');
  if (first === undefined || references.length === 0) {
    throw new UserError('expected "context <tab> reference …"; mend or remove the line.');
  }
  return {
    ...(DSTC7_KEY.test(first) ? { key: first } : { context: first }),
    references: references.map((cell) => {
      const scored = SCORED.exec(cell);
      return scored === null ? { text: cell } : { score: scored[1] ?? '', text: scored[2] ?? '' };
    }),
  };
}
