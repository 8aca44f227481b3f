import { at, sum } from '../../base/arrays.js';
import { Random } from '../../base/random.js';
import { drawWeights, middle, RESAMPLES } from '../significance.js';
import { krippendorffAlpha } from './agreement.js';
import type { Judgement, Rating } from './judgements.js';

/** A share of judgements, from 0 to 1, with the 95 % interval of the resampled instances. */
export interface Share {
  readonly count: number;
  readonly share: number;
  readonly interval: readonly [low: number, high: number];
}

/** How two systems fared on one question. */
export interface Tally {
  readonly question: string;
  readonly first: string;
  readonly second: string;
  readonly judgements: number;
  readonly wins: Share;
  readonly ties: Share;
  readonly losses: Share;
  /** Krippendorff's α (nominal) among judges of the same instance; absent where none share one. */
  readonly agreement?: number;
}

/**
 * Counts the first system's wins, ties and losses for each pair of systems and question, in the
 * order in which they first come. A pair that comes both ways round is counted as it first came.
 */
export function tallyJudgements(judgements: readonly Judgement[], seed = 12345): Tally[] {
  const groups = new Map<string, Judgement[]>();
  for (const judgement of judgements) {
    const turned = turn(judgement);
    const key = keyOf(judgement);
    const [target, kept] = groups.has(keyOf(turned)) ? [keyOf(turned), turned] : [key, judgement];
    const group = groups.get(target);
    if (group === undefined) groups.set(target, [kept]);
    else group.push(kept);
  }
  return [...groups.values()].map((group) => tallyGroup(group, seed));
}

function keyOf({ question, first, second }: Judgement): string {
  return JSON.stringify([question, first, second]);
}

function turn(judgement: Judgement): Judgement {
  const winners = { first: 'second', second: 'first', tie: 'tie' } as const;
  return {
    ...judgement,
    first: judgement.second,
    second: judgement.first,
    winner: winners[judgement.winner],
  };
}

const OUTCOMES = ['first', 'tie', 'second'] as const;

function tallyGroup(group: readonly Judgement[], seed: number): Tally {
  const { question, first, second } = at(group, 0);
  const byInstance = new Map<string, number[]>();
  const answers = new Map<string, string[]>();
  for (const { instance, winner } of group) {
    const counts = byInstance.get(instance) ?? OUTCOMES.map(() => 0);
    const outcome = OUTCOMES.indexOf(winner);
    counts[outcome] = at(counts, outcome) + 1;
    byInstance.set(instance, counts);
    answers.set(instance, [...(answers.get(instance) ?? []), winner]);
  }
  const rows = [...byInstance.values()];
  const counts = OUTCOMES.map((_, outcome) => sum(rows.map((row) => at(row, outcome))));
  const drawn = OUTCOMES.map((): number[] => []);
  const random = new Random(seed);
  for (let sample = 0; sample < RESAMPLES; sample++) {
    const weights = drawWeights(rows.length, random);
    const totals = OUTCOMES.map((_, outcome) =>
      sum(rows.map((row, index) => at(row, outcome) * at(weights, index))),
    );
    drawn.forEach((shares, outcome) => shares.push(at(totals, outcome) / sum(totals)));
  }
  const share = (outcome: number): Share => ({
    count: at(counts, outcome),
    share: at(counts, outcome) / group.length,
    interval: middle(at(drawn, outcome).sort((a, b) => a - b)),
  });
  const agreement = krippendorffAlpha([...answers.values()], (a, b) => (a === b ? 0 : 1));
  return {
    question,
    first,
    second,
    judgements: group.length,
    wins: share(0),
    ties: share(1),
    losses: share(2),
    ...(agreement !== undefined && { agreement }),
  };
}

/** How one system was rated on one question. */
export interface RatingSummary {
  readonly question: string;
  readonly system: string;
  readonly ratings: number;
  readonly mean: number;
  /** The 95 % interval of the means of the resampled instances. */
  readonly interval: readonly [low: number, high: number];
}

/** The mean ratings of each system, best first, question by question. */
export function summarizeRatings(ratings: readonly Rating[], seed = 12345): RatingSummary[] {
  const groups = groupRatings(ratings);
  const summaries = [...groups.values()].map((group): RatingSummary => {
    const { question, system } = at(group, 0);
    const rows = new Map<string, [sum: number, count: number]>();
    for (const { instance, rating } of group) {
      const [total, count] = rows.get(instance) ?? [0, 0];
      rows.set(instance, [total + rating, count + 1]);
    }
    const instances = [...rows.values()];
    const random = new Random(seed);
    const means = Array.from({ length: RESAMPLES }, () => {
      const weights = drawWeights(instances.length, random);
      let [total, count] = [0, 0];
      instances.forEach(([ratingSum, ratingCount], index) => {
        total += ratingSum * at(weights, index);
        count += ratingCount * at(weights, index);
      });
      return total / count;
    });
    return {
      question,
      system,
      ratings: group.length,
      mean: sum(group.map(({ rating }) => rating)) / group.length,
      interval: middle(means.sort((a, b) => a - b)),
    };
  });
  const questions = [...new Set(summaries.map(({ question }) => question))];
  return summaries.sort(
    (a, b) =>
      questions.indexOf(a.question) - questions.indexOf(b.question) ||
      b.mean - a.mean ||
      (a.system < b.system ? -1 : 1),
  );
}

function groupRatings(ratings: readonly Rating[]): Map<string, Rating[]> {
  const groups = new Map<string, Rating[]>();
  for (const rating of ratings) {
    const key = JSON.stringify([rating.question, rating.system]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [rating]);
    else group.push(rating);
  }
  return groups;
}

/** Krippendorff's α (interval) among the ratings of the same response, for each question. */
export function ratingAgreement(ratings: readonly Rating[]): Map<string, number> {
  const questions = new Map<string, Map<string, number[]>>();
  for (const { question, instance, system, rating } of ratings) {
    const units = questions.get(question) ?? new Map<string, number[]>();
    questions.set(question, units);
    const key = JSON.stringify([instance, system]);
    const unit = units.get(key);
    if (unit === undefined) units.set(key, [rating]);
    else unit.push(rating);
  }
  const agreements = new Map<string, number>();
  for (const [question, units] of questions) {
    const alpha = krippendorffAlpha([...units.values()], (a, b) => (a - b) ** 2);
    if (alpha !== undefined) agreements.set(question, alpha);
  }
  return agreements;
}
