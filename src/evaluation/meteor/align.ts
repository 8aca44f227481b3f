import type { Match, PossibleMatches } from './matches.js';

/** How many partial alignments METEOR keeps at each word. */
const BEAM_SIZE = 40;

/**
 * The best alignment of two sentences (`Aligner.java`): matches that overlap with no other are
 * taken; among the rest a beam search over the reference's words prefers the most exact words,
 * then the fewest chunks, then the shortest distance.
 *
 * @returns The chosen matches in the order of the reference.
 */
export function align(possible: PossibleMatches): readonly Match[] {
  const { certain, allAreCertain } = certainMatches(possible);
  if (allAreCertain) return certain.filter((match) => match !== undefined);
  return search(possible, certain);
}

type CertainMatches = readonly (Match | undefined)[];

function certainMatches({ matches, hypothesisCoverage, referenceCoverage }: PossibleMatches): {
  certain: CertainMatches;
  allAreCertain: boolean;
} {
  let allAreCertain = true;
  const certain = matches.map((candidates) => {
    const match = candidates[0];
    if (match === undefined) return undefined;
    if (
      candidates.length === 1 &&
      coveredOnce(referenceCoverage, match.referenceStart, match.referenceLength) &&
      coveredOnce(hypothesisCoverage, match.hypothesisStart, match.hypothesisLength)
    ) {
      return match;
    }
    allAreCertain = false;
    return undefined;
  });
  return { certain, allAreCertain };
}

function coveredOnce(coverage: Uint16Array, start: number, length: number): boolean {
  for (let offset = 0; offset < length; offset++) {
    if (coverage[start + offset] !== 1) return false;
  }
  return true;
}

/** Matches chosen so far, the last one first; paths share the tails of their lists. */
interface Chosen {
  readonly match: Match;
  readonly before: Chosen | undefined;
}

/** A partial alignment of the reference's first words. */
class Path {
  worth = 0;
  chunks = 0;
  distance = 0;
  /** The word of the reference at which the path goes on. */
  next = 0;
  /** Where the last match ends in the hypothesis; −1 after a word that is not aligned. */
  lastEnd = -1;
  /** The matches that were chosen; those that are certain are not among them. */
  chosen: Chosen | undefined;

  copy(): Path {
    const path = new Path();
    path.worth = this.worth;
    path.chunks = this.chunks;
    path.distance = this.distance;
    path.next = this.next;
    path.lastEnd = this.lastEnd;
    path.chosen = this.chosen;
    return path;
  }

  /**
   * Whether the match's words in the hypothesis are not used yet. Those in the reference never
   * are: paths go from left to right, and no certain match overlaps with another.
   */
  isFree({ hypothesisStart, hypothesisLength }: Match): boolean {
    for (let link = this.chosen; link !== undefined; link = link.before) {
      const start = link.match.hypothesisStart;
      if (
        start < hypothesisStart + hypothesisLength &&
        hypothesisStart < start + link.match.hypothesisLength
      ) {
        return false;
      }
    }
    return true;
  }

  choose(match: Match): void {
    this.chosen = { match, before: this.chosen };
    this.append(match);
  }

  append(match: Match): void {
    this.worth += match.worth;
    if (this.lastEnd !== -1 && match.hypothesisStart !== this.lastEnd) this.chunks++;
    this.next = match.referenceStart + match.referenceLength;
    this.lastEnd = match.hypothesisStart + match.hypothesisLength;
  }

  /** Goes past a word that is not aligned. */
  skip(): void {
    this.closeChunk();
    this.lastEnd = -1;
    this.next++;
  }

  closeChunk(): void {
    if (this.lastEnd !== -1) this.chunks++;
  }
}

/** Sorts the better alignment first. */
function compare(a: Path, b: Path): number {
  if (a.worth !== b.worth) return b.worth - a.worth;
  if (a.chunks !== b.chunks) return a.chunks - b.chunks;
  return a.distance - b.distance;
}

function distanceOf(match: Match): number {
  return Math.abs(match.referenceStart - match.hypothesisStart);
}

function search({ matches }: PossibleMatches, certain: CertainMatches): readonly Match[] {
  let paths = [new Path()];
  matches.forEach((candidates, current) => {
    const fixed = certain[current];
    const longer: Path[] = [];
    for (const path of paths) {
      if (fixed !== undefined) {
        path.append(fixed);
        path.distance += distanceOf(fixed);
      } else if (current >= path.next) {
        for (const match of candidates) {
          if (!path.isFree(match)) continue;
          const other = path.copy();
          other.choose(match);
          keepBest(longer, other);
          // METEOR adds the distance to the path that is extended, not to the extension; later
          // extensions and the path without a match inherit it. The choice depends on it.
          path.distance += distanceOf(match);
        }
        path.skip();
      }
      keepBest(longer, path);
    }
    paths = longer;
  });
  const complete: Path[] = [];
  for (const path of paths) {
    path.closeChunk();
    keepBest(complete, path);
  }
  return certain
    .filter((match) => match !== undefined)
    .concat(matchesOf(complete[0]))
    .sort((a, b) => a.referenceStart - b.referenceStart);
}

/** Puts a path in its place among the best, best first; equals keep their order. */
function keepBest(best: Path[], path: Path): void {
  let place = best.length;
  if (place < BEAM_SIZE) best.push(path);
  for (; place > 0; place--) {
    const other = best[place - 1];
    if (other === undefined || compare(other, path) <= 0) break;
    if (place < BEAM_SIZE) best[place] = other;
  }
  if (place < BEAM_SIZE) best[place] = path;
}

function matchesOf(path: Path | undefined): Match[] {
  const matches: Match[] = [];
  for (let link = path?.chosen; link !== undefined; link = link.before) matches.push(link.match);
  return matches;
}
