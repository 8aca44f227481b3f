import { at } from '../base/arrays.js';
import type { Reader, Reading } from './reader.js';
import type { Sequence } from './slots.js';

/** What a search wants to know next. */
export interface Question {
  /** The sequences whose next token is to be scored. */
  readonly sequences: readonly Sequence[];
  /** The tokens of the best generation that are certain by now. */
  readonly settled: readonly number[];
}

/** What a search found. */
export interface Generation {
  /** The tokens after the prompt, without the end of text. */
  readonly tokens: readonly number[];
  /** Whether it was ended by the end of text. */
  readonly ended: boolean;
  /** In beam search, the sum of the log-probabilities over the length's power. */
  readonly score?: number;
}

/**
 * A way to choose tokens, as a coroutine: it asks for the scores after some sequences, gets them,
 * and returns its generations, the best first. It knows nothing of the decoder, so searches of
 * many prompts can share one (see {@link runSearches}).
 */
export type Search = Generator<Question, readonly Generation[], readonly Reading[]>;

/** Runs one search; yields tokens of the best generation as they become certain. */
export async function* runSearch(
  reader: Reader,
  search: Search,
): AsyncGenerator<number, readonly Generation[], undefined> {
  let shown = 0;
  let step = search.next([]);
  while (step.done !== true) {
    const { sequences, settled } = step.value;
    for (; shown < settled.length; shown++) yield at(settled, shown);
    step = search.next(await reader.read(sequences));
  }
  const best = step.value[0]?.tokens ?? [];
  for (; shown < best.length; shown++) yield at(best, shown);
  return step.value;
}

/** Runs one search to its end. */
export async function finishSearch(reader: Reader, search: Search): Promise<readonly Generation[]> {
  let step = search.next([]);
  while (step.done !== true) step = search.next(await reader.read(step.value.sequences));
  return step.value;
}

/** The generations of one of many searches, with the search's place among them. */
export interface Finished {
  readonly index: number;
  readonly generations: readonly Generation[];
}

/**
 * Runs many searches side by side, as many at a time as fit into `width` rows; when one is done,
 * the next takes its place at once. Yields them as they are done.
 *
 * @param searches are made when their turn comes
 */
export async function* runSearches(
  reader: Reader,
  searches: Iterable<() => Search>,
  width: number,
): AsyncGenerator<Finished, void, undefined> {
  const waiting = searches[Symbol.iterator]();
  const running: { index: number; search: Search; question: Question }[] = [];
  let started = 0;
  let exhausted = false;
  for (;;) {
    const rows = () => running.reduce((sum, { question }) => sum + question.sequences.length, 0);
    while (!exhausted && (running.length === 0 || rows() < width)) {
      const next = waiting.next();
      if (next.done === true) {
        exhausted = true;
        break;
      }
      const index = started++;
      const search = next.value();
      const step = search.next([]);
      if (step.done === true) yield { index, generations: step.value };
      else running.push({ index, search, question: step.value });
    }
    if (running.length === 0) return;
    const readings = await reader.read(running.flatMap(({ question }) => question.sequences));
    let offset = 0;
    const finished: Finished[] = [];
    for (const entry of [...running]) {
      const { length } = entry.question.sequences;
      const step = entry.search.next(readings.slice(offset, offset + length));
      offset += length;
      if (step.done === true) {
        running.splice(running.indexOf(entry), 1);
        finished.push({ index: entry.index, generations: step.value });
      } else {
        entry.question = step.value;
      }
    }
    // All have seen the readings, which hold until something else is read.
    yield* finished;
  }
}

/** The one reading of a question about one sequence. */
export function onlyReading(readings: readonly Reading[]): Reading {
  return at(readings, 0);
}
