import type { Candidate, Match, PossibleMatches } from './matches.js';

/** How many partial alignments METEOR keeps at each word. */
const BEAM_SIZE = 40;

/**
 * The best alignment of two sentences (`Aligner.java`): matches that overlap with no other are
 * taken; among the rest a beam search over the reference's words prefers the most exact words,
 * then the fewest chunks, then the shortest distance. Takes time in proportion to the number of
 * matches and of the reference's words, whatever repeats in them.
 *
 * @returns The chosen matches in the order of the reference.
 */
export function align(possible: PossibleMatches): readonly Match[] {
  const { certain, allAreCertain } = certainMatches(possible);
  if (allAreCertain) return certain.filter((match) => match !== undefined);
  return search(possible, certain);
}

type CertainMatches = readonly (Match | undefined)[];

function certainMatches({ candidates, hypothesisCoverage, referenceCoverage }: PossibleMatches): {
  certain: CertainMatches;
  allAreCertain: boolean;
} {
  let allAreCertain = true;
  const certain = candidates.map((list, referenceStart) => {
    const candidate = list[0];
    if (candidate === undefined) return undefined;
    if (
      list.length === 1 &&
      coveredOnce(referenceCoverage, referenceStart, candidate.referenceLength) &&
      coveredOnce(hypothesisCoverage, candidate.hypothesisStart, candidate.hypothesisLength)
    ) {
      return placed(candidate, referenceStart);
    }
    allAreCertain = false;
    return undefined;
  });
  return { certain, allAreCertain };
}

function coveredOnce(coverage: Uint8ClampedArray, start: number, length: number): boolean {
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

  /** The path that chooses a match as well. */
  choose(match: Match): Path {
    const path = new Path();
    path.worth = this.worth;
    path.chunks = this.chunks;
    path.distance = this.distance;
    path.lastEnd = this.lastEnd;
    path.chosen = { match, before: this.chosen };
    path.append(match);
    return path;
  }

  append(match: Match): void {
    this.worth += match.worth;
    this.chunks = this.chunksWith(match);
    this.next = match.referenceStart + match.referenceLength;
    this.lastEnd = match.hypothesisStart + match.hypothesisLength;
  }

  /** How many chunks are complete once the match is chosen. */
  chunksWith({ hypothesisStart }: Candidate): number {
    const breaks = this.lastEnd !== -1 && hypothesisStart !== this.lastEnd;
    return breaks ? this.chunks + 1 : this.chunks;
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

/** The words of the hypothesis that one path at a time has used. */
class UsedWords {
  /** A word is used if it has the mark of the path at hand. */
  readonly #marks: Uint32Array;
  #mark = 0;

  constructor(words: number) {
    this.#marks = new Uint32Array(words);
  }

  /** Marks the words of a path once, so that no match of many has to go through its choices. */
  begin(path: Path): void {
    this.#mark++;
    for (let link = path.chosen; link !== undefined; link = link.before) {
      const { hypothesisStart, hypothesisLength } = link.match;
      this.#marks.fill(this.#mark, hypothesisStart, hypothesisStart + hypothesisLength);
    }
  }

  /**
   * Whether the match's words in the hypothesis are not used yet. Those in the reference never
   * are: paths go from left to right, and no certain match overlaps with another.
   */
  areFree({ hypothesisStart, hypothesisLength }: Candidate): boolean {
    for (let word = hypothesisStart; word < hypothesisStart + hypothesisLength; word++) {
      if (this.#marks[word] === this.#mark) return false;
    }
    return true;
  }
}

/** Sorts the better alignment first. */
function compare(a: Path, b: Path): number {
  return order(a, b.worth, b.chunks, b.distance);
}

/** As {@link compare}, with a path that is not made yet. */
function order(path: Path, worth: number, chunks: number, distance: number): number {
  if (path.worth !== worth) return worth - path.worth;
  if (path.chunks !== chunks) return path.chunks - chunks;
  return path.distance - distance;
}

/** The match of a candidate at a place of the reference; written out, for a spread takes longer. */
function placed(candidate: Candidate, referenceStart: number): Match {
  return {
    stage: candidate.stage,
    referenceStart,
    referenceLength: candidate.referenceLength,
    hypothesisStart: candidate.hypothesisStart,
    hypothesisLength: candidate.hypothesisLength,
    worth: candidate.worth,
  };
}

function distanceOf(referenceStart: number, { hypothesisStart }: Candidate): number {
  return Math.abs(referenceStart - hypothesisStart);
}

function search(
  { candidates, hypothesisCoverage }: PossibleMatches,
  certain: CertainMatches,
): readonly Match[] {
  const used = new UsedWords(hypothesisCoverage.length);
  let paths = [new Path()];
  candidates.forEach((list, current) => {
    const fixed = certain[current];
    const longer: Path[] = [];
    for (const path of paths) {
      if (fixed !== undefined) {
        path.append(fixed);
        path.distance += distanceOf(current, fixed);
      } else if (current >= path.next) {
        if (list.length > 0) used.begin(path);
        for (const candidate of list) {
          if (!used.areFree(candidate)) continue;
          if (hasPlace(longer, path, candidate)) {
            keepBest(longer, path.choose(placed(candidate, current)));
          }
          // METEOR adds the distance to the path that is extended, not to the extension; later
          // extensions and the path without a match inherit it. The choice depends on it.
          path.distance += distanceOf(current, candidate);
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

/** Whether the path with the candidate would be among the best: most would not, and are not made. */
function hasPlace(best: readonly Path[], path: Path, candidate: Candidate): boolean {
  const last = best[BEAM_SIZE - 1];
  if (last === undefined) return true;
  const worth = path.worth + candidate.worth;
  return order(last, worth, path.chunksWith(candidate), path.distance) > 0;
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
