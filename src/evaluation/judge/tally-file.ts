import { UserError } from '../../base/errors.js';
import { printed } from '../numbers.js';
import { alignColumns } from '../report/formats.js';
import {
  isRatingsFile,
  type Judgement,
  judgementsFromRatings,
  readJudgements,
  readRatings,
} from './judgements.js';
import {
  ratingAgreement,
  type RatingSummary,
  type Share,
  summarizeRatings,
  type Tally,
  tallyJudgements,
} from './tally.js';

/** What judges said, counted. */
export interface TallyResult {
  readonly tallies: readonly Tally[];
  /** Where the file holds ratings: the systems' mean ratings. */
  readonly ratings?: readonly RatingSummary[];
  /** Where the file holds ratings: Krippendorff's α (interval) for each question. */
  readonly ratingAgreement?: Readonly<Record<string, number>>;
}

/**
 * Counts the judgements in a file: one that {@link readJudgements} reads, or DSTC-7's table of
 * ratings.
 *
 * @param systems Where given, only pairs of these systems.
 * @throws UserError where there is no judgement.
 */
export async function tallyFile(path: string, systems?: readonly string[]): Promise<TallyResult> {
  const isMeant = (system: string): boolean => systems?.includes(system) ?? true;
  const ofPairs = (judgements: readonly Judgement[]): Tally[] => {
    const meant = judgements.filter(({ first, second }) => isMeant(first) && isMeant(second));
    if (meant.length === 0) {
      throw new UserError(`${path}: there is no judgement to count; check the file and --systems.`);
    }
    return tallyJudgements(meant);
  };
  if (!(await isRatingsFile(path))) return { tallies: ofPairs(await readJudgements(path)) };
  const ratings = await readRatings(path);
  return {
    tallies: ofPairs(judgementsFromRatings(ratings)),
    ratings: summarizeRatings(ratings.filter(({ system }) => isMeant(system))),
    ratingAgreement: Object.fromEntries(ratingAgreement(ratings)),
  };
}

/** The tables for the terminal; wins, ties and losses are the first system's. */
export function formatTally({ tallies, ratings, ratingAgreement: agreement }: TallyResult): string {
  const percent = (number: number): string => printed(100 * number, 1);
  const share = ({ count, share: part, interval: [low, high] }: Share): string =>
    `${count} (${percent(part)} %, ${percent(low)}-${percent(high)})`;
  const pairs = [
    ['Question', 'System A', 'System B', 'A wins (%, 95 %)', 'Ties', 'B wins', 'Agreement'],
    ...tallies.map((tally) => [
      tally.question,
      tally.first,
      tally.second,
      share(tally.wins),
      share(tally.ties),
      share(tally.losses),
      tally.agreement === undefined ? '-' : printed(tally.agreement, 3),
    ]),
  ];
  if (ratings === undefined) return alignColumns(pairs);
  const means = [
    ['Question', 'System', 'Mean', '95 % from', 'to', 'Ratings'],
    ...ratings.map(({ question, system, mean, interval, ratings: count }) => [
      question,
      system,
      printed(mean, 3),
      printed(interval[0], 3),
      printed(interval[1], 3),
      String(count),
    ]),
  ];
  const agreements = Object.entries(agreement ?? {}).map(
    ([question, alpha]) => `${question}: ${printed(alpha, 3)}`,
  );
  return [
    alignColumns(means),
    `Agreement of judges (Krippendorff's alpha, interval): ${agreements.join(', ')}\n`,
    alignColumns(pairs),
  ].join('\n');
}
