import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { readLines } from '../base/files.js';
import type { Tokenizer } from '../tokenizer/index.js';

/** Two responses to one context, of which people liked one better: tokens of whole sequences. */
export interface RankingPair {
  readonly better: readonly number[];
  readonly worse: readonly number[];
  /** How many tokens of both come before the response. */
  readonly start: number;
  /** How much they liked it better, where the data say so. */
  readonly gaps: RankingGaps | undefined;
}

/** Differences between two responses, as DialogRPT's data have them. */
interface RankingGaps {
  /** Hours between the two; NaN where unknown. */
  readonly hours: number;
  /** Votes or replies. */
  readonly score: number;
  /** The place among all responses to the context, from 0 to 1. */
  readonly rank: number;
}

/** How pairs are read. */
export interface RankingPairsOptions {
  readonly tokenizer: Tokenizer;
  /** The most tokens of a sequence; the oldest of the context are left out. 50 in DialogRPT. */
  readonly maxSequenceLength: number;
  /** Pairs of which the responses are further apart in time are left out. 1 in DialogRPT. */
  readonly maxHoursGap?: number;
  /**
   * Whether the worse response is the better one to another context, as for DialogRPT's
   * human-vs-rand; what the data call worse is not read.
   */
  readonly mismatch?: boolean;
}

/** How far the other response is taken from with `mismatch` (`Feeder.reset` in DialogRPT). */
const MISMATCH_DISTANCE = 100;

/** ` .` in GPT-2's vocabulary, which DialogRPT takes out of its data at the end of turns. */
const STRAY_DOT = 764;

interface Row {
  readonly context: readonly number[];
  readonly better: readonly number[];
  readonly worse: readonly number[];
  readonly gaps: RankingGaps | undefined;
}

/**
 * Reads pairs of responses, one a line in columns between tabs:
 *
 * - `context`, `better`, `worse` as text, turns of the context separated by ` EOS ` or
 *   `<|endoftext|>`; or
 * - DialogRPT's data: the same, as text or as token ids, then any columns, and last the gap in
 *   hours, both scores and both ranks.
 *
 * Lines that start with `#` are comments. A sequence is context, end of text, response, as
 * DialogRPT's `Feeder.get_batch` makes it.
 *
 * @throws UserError naming the line that cannot be read.
 */
export async function readRankingPairs(
  path: string,
  options: RankingPairsOptions,
): Promise<RankingPair[]> {
  const { maxHoursGap = Infinity, mismatch = false } = options;
  const rows: Row[] = [];
  let ids: boolean | undefined;
  for await (const { text, number } of readLines(path)) {
    if (text.startsWith('#') || text.trim() === '') continue;
    const columns = text.split('\t');
    if (columns.length !== 3 && columns.length < 8) {
      throw new UserError(
        `${path}:${number}: expected context, better and worse response, or DialogRPT's columns; found ${columns.length} columns.`,
      );
    }
    ids ??=
      columns.length > 3 && columns.slice(0, 3).every((column) => /^\d+(?: \d+)*$/.test(column));
    const row = ids ? idRow(columns, options.tokenizer) : textRow(columns, options.tokenizer);
    if (row === undefined) {
      throw new UserError(
        `${path}:${number}: these are no token ids of the model; give text, or data of its vocabulary.`,
      );
    }
    if (row.gaps !== undefined && row.gaps.hours > maxHoursGap) continue;
    rows.push(row);
  }
  const distance = Math.min(MISMATCH_DISTANCE, Math.max(1, Math.floor(rows.length / 2)));
  return rows.map((row, index) => {
    const other = mismatch ? at(rows, (index + distance) % rows.length).better : row.worse;
    return toPair(row, other, options);
  });
}

function textRow(columns: readonly string[], tokenizer: Tokenizer): Row {
  const [context = '', better = '', worse = ''] = columns;
  const turns = context.split(/<\|endoftext\|>| EOS /).map((turn) => tokenizer.encode(turn.trim()));
  return {
    context: joinTurns(turns, tokenizer),
    better: tokenizer.encode(better.trim()),
    worse: tokenizer.encode(worse.trim()),
    gaps: gapsOf(columns),
  };
}

/** Undefined if an id is none of the vocabulary's. */
function idRow(columns: readonly string[], tokenizer: Tokenizer): Row | undefined {
  const lists = columns.slice(0, 3).map((column) =>
    column
      .split(' ')
      .filter((word) => word !== '')
      .map(Number),
  );
  const known = (id: number) => Number.isInteger(id) && id >= 0 && id < tokenizer.size;
  if (!lists.every((list) => list.every(known))) return undefined;
  const [context = [], better = [], worse = []] = lists.map((list) =>
    list.filter((id, index) => {
      const endsTurn = index === list.length - 1 || list[index + 1] === tokenizer.endOfText;
      return !(id === STRAY_DOT && index > 0 && endsTurn);
    }),
  );
  return { context, better, worse, gaps: gapsOf(columns) };
}

function gapsOf(columns: readonly string[]): RankingGaps | undefined {
  if (columns.length < 8) return undefined;
  const [hours = NaN, better = NaN, worse = NaN, betterRank = NaN, worseRank = NaN] = columns
    .slice(-5)
    .map(Number);
  return { hours, score: better - worse, rank: betterRank - worseRank };
}

/** The tokens of turns, with the end of text between them. */
export function joinTurns(
  turns: readonly (readonly number[])[],
  { endOfText }: Tokenizer,
): number[] {
  return turns.flatMap((turn, index) => (index === 0 ? turn : [endOfText, ...turn]));
}

/** Both sequences, with the same tokens cut from the start of the context. */
export function toPair(
  { context, better, gaps }: Omit<Row, 'worse'>,
  other: readonly number[],
  { tokenizer, maxSequenceLength }: Pick<RankingPairsOptions, 'tokenizer' | 'maxSequenceLength'>,
): RankingPair {
  const start = [...context, tokenizer.endOfText];
  const longest = start.length + Math.max(better.length, other.length);
  const cut = Math.max(0, longest - maxSequenceLength);
  const whole = [[...start, ...better].slice(cut), [...start, ...other].slice(cut)] as const;
  // A sequence must have a last token; the shorter of two may be cut away whole.
  const [first, second] = whole.map((ids) => (ids.length === 0 ? [tokenizer.endOfText] : ids));
  const before = Math.max(0, start.length - cut);
  return { better: first ?? [], worse: second ?? [], start: before, gaps };
}

/** The pairs whose responses are far enough apart; those without scores are kept. */
export function withGaps(
  pairs: readonly RankingPair[],
  least: { readonly score?: number | undefined; readonly rank?: number | undefined },
): RankingPair[] {
  const { score = -Infinity, rank = -Infinity } = least;
  return pairs.filter(({ gaps }) => {
    if (gaps === undefined) return true;
    return !(gaps.score < score) && !(gaps.rank < rank);
  });
}
