import { UserError } from '../base/errors.js';

/** Responses and what they are compared with: one instance an entry. */
export interface Corpus {
  readonly hypotheses: readonly string[];
  /** For each instance, its references; at least one. */
  readonly references: readonly (readonly string[])[];
}

/** How scores follow from numbers that the instances of a corpus contribute. */
export interface Scoring {
  readonly name: string;
  /** The names of the scores, in order. */
  readonly labels: readonly string[];
  /** The scores of a corpus whose contributions add up to `total`. */
  score(total: Float64Array): number[];
}

/**
 * A metric over a corpus. Every instance contributes numbers of its own, a corpus contributes
 * their sum, and the scores follow from the sum: so a corpus is scored by adding once, and
 * resampled by adding again.
 */
export interface Metric extends Scoring {
  /** The contribution of each instance; all of one length. */
  statistics(corpus: Corpus): Float64Array[];
}

/**
 * The scores of a corpus.
 *
 * @throws UserError where the corpus is empty or an instance has no reference.
 */
export function scoreCorpus(metric: Metric, corpus: Corpus): number[] {
  checkCorpus(corpus);
  return metric.score(addUp(metric.statistics(corpus)));
}

/** The sum of rows of one length. */
export function addUp(rows: readonly Float64Array[]): Float64Array {
  const total = new Float64Array(rows[0]?.length ?? 0);
  for (const row of rows) {
    for (let index = 0; index < total.length; index++) {
      total[index] = (total[index] ?? 0) + (row[index] ?? 0);
    }
  }
  return total;
}

/**
 * The numbers of the reference that scores best; of equals, the first one's.
 *
 * @param count Sets the numbers of one reference, `size` of them.
 */
export function bestCounts<Reference>(
  size: number,
  references: Iterable<Reference>,
  count: (reference: Reference, counts: Float64Array) => void,
  scoreOf: (counts: Float64Array) => number,
): Float64Array {
  let best = new Float64Array(size);
  let counts = new Float64Array(size);
  let bestScore = -1;
  for (const reference of references) {
    count(reference, counts);
    const score = scoreOf(counts);
    if (score > bestScore) {
      [best, counts] = [counts, best];
      bestScore = score;
    }
  }
  return best;
}

/** @throws UserError where the corpus is empty or an instance has no reference. */
export function checkCorpus({ hypotheses, references }: Corpus): void {
  if (hypotheses.length === 0) {
    throw new UserError('There is no response to score; the file is empty.');
  }
  if (hypotheses.length !== references.length) {
    throw new UserError(
      `There are ${hypotheses.length} responses but references for ${references.length}; give each response its references.`,
    );
  }
  const bare = references.findIndex((list) => list.length === 0);
  if (bare !== -1) {
    throw new UserError(`Response ${bare + 1} has no reference; give each response one or more.`);
  }
}
