import { UserError } from '../base/errors.js';
import { readMultiReferences } from '../corpus/multi-reference-lines.js';

/** A multi-reference set in memory: contexts, and the references of each. */
export interface MultiReferenceSet {
  readonly path: string;
  /** Turns of a context are separated by ` EOS `. */
  readonly contexts: readonly string[];
  readonly references: readonly (readonly string[])[];
}

/**
 * Reads a multi-reference set as `data refs` writes it (`test.refs.txt`, `test.scored_refs.txt`).
 *
 * @throws UserError where a line has no reference, or there is no line.
 */
export async function readMultiReferenceSet(path: string): Promise<MultiReferenceSet> {
  const contexts: string[] = [];
  const references: string[][] = [];
  for await (const line of readMultiReferences(path)) {
    if (line.context === undefined) {
      throw new UserError(
        `${path}: it names contexts by keys (${line.key}), as DSTC-7 does; make it one with texts first: dialogpt data refs --from ${path} --contexts …`,
      );
    }
    contexts.push(line.context);
    references.push(line.references.map(({ text }) => text));
  }
  if (contexts.length === 0) {
    throw new UserError(`${path}: the file is empty; give a context and its references a line.`);
  }
  return { path, contexts, references };
}
