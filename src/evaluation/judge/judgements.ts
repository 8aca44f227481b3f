import { z } from 'zod';
import { UserError } from '../../base/errors.js';
import { readLines } from '../../base/files.js';

/** What judges are asked of two responses, as in the paper's human evaluation. */
export const QUESTIONS = {
  relevance: 'Which response is more relevant to the conversation?',
  informativeness: 'Which response is more contentful and informative?',
  'human-likeness': 'Which response is more likely to be written by a human?',
} as const;

/** One judge's answer to one question about two systems' responses. */
export interface Judgement {
  readonly judge: string;
  readonly instance: string;
  readonly question: string;
  /** The names of the two systems. */
  readonly first: string;
  readonly second: string;
  readonly winner: 'first' | 'second' | 'tie';
}

const judgementSchema = z.object({
  judge: z.string(),
  instance: z.string(),
  question: z.string(),
  first: z.string(),
  second: z.string(),
  winner: z.enum(['first', 'second', 'tie']),
});

/**
 * Reads judgements, one JSON object a line.
 *
 * @throws UserError where a line is none.
 */
export async function readJudgements(path: string): Promise<Judgement[]> {
  const judgements: Judgement[] = [];
  for await (const { text, number } of readLines(path)) {
    if (text !== '') judgements.push(parseJudgement(text, `${path}, line ${number}`));
  }
  return judgements;
}

function parseJudgement(text: string, place: string): Judgement {
  try {
    return judgementSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new UserError(`${place}: this is no judgement; mend or remove the line.`, {
      cause: error,
    });
  }
}

/** One judge's rating of one system's response: the larger, the better. */
export interface Rating {
  readonly judge: string;
  readonly instance: string;
  readonly system: string;
  readonly question: string;
  readonly rating: number;
}

const RATING_COLUMNS = ['JudgeID', 'InstanceID', 'SystemID'];

/** Whether a file is a table of ratings as DSTC-7 published it, by its first line. */
export async function isRatingsFile(path: string): Promise<boolean> {
  for await (const { text } of readLines(path)) return text.startsWith(RATING_COLUMNS.join('\t'));
  return false;
}

/**
 * Reads ratings as DSTC-7 published them (`dstc7-task2-human-eval-per-judge.tsv` of
 * https://github.com/mgalley/DSTC7-End-to-End-Conversation-Modeling): `JudgeID`, `InstanceID`,
 * `SystemID`, then a column for each question.
 *
 * @throws UserError where a line has another number of columns or a rating is no number.
 */
export async function readRatings(path: string): Promise<Rating[]> {
  const ratings: Rating[] = [];
  let questions: string[] | undefined;
  for await (const { text, number } of readLines(path)) {
    const cells = text.split('\t');
    if (questions === undefined) {
      questions = cells.slice(RATING_COLUMNS.length).map((name) => name.toLowerCase());
      continue;
    }
    const [judge = '', instance = '', system = '', ...values] = cells;
    if (values.length !== questions.length) {
      throw new UserError(
        `${path}, line ${number}: ${cells.length} columns instead of ${RATING_COLUMNS.length + questions.length}; mend the line.`,
      );
    }
    questions.forEach((question, index) => {
      const value = values[index] ?? '';
      const rating = Number(value);
      if (value.trim() === '' || Number.isNaN(rating)) {
        throw new UserError(
          `${path}, line ${number}: the rating "${value}" is no number; mend it.`,
        );
      }
      ratings.push({ judge, instance, system, question, rating });
    });
  }
  return ratings;
}

/**
 * Ratings as judgements between all pairs of systems: where both have ratings for an instance, the
 * higher mean rating wins.
 */
export function judgementsFromRatings(ratings: readonly Rating[]): Judgement[] {
  const means = new Map<string, Map<string, { sum: number; count: number }>>();
  const questions = new Map<string, { question: string; instance: string }>();
  for (const { instance, question, system, rating } of ratings) {
    const key = `${question}\t${instance}`;
    questions.set(key, { question, instance });
    const systems = means.get(key) ?? new Map<string, { sum: number; count: number }>();
    means.set(key, systems);
    const mean = systems.get(system) ?? { sum: 0, count: 0 };
    systems.set(system, { sum: mean.sum + rating, count: mean.count + 1 });
  }
  const judgements: Judgement[] = [];
  for (const [key, systems] of means) {
    const about = questions.get(key);
    if (about === undefined) continue;
    const names = [...systems.keys()].sort();
    names.forEach((first, index) => {
      for (const second of names.slice(index + 1)) {
        const [one, other] = [systems.get(first), systems.get(second)];
        if (one === undefined || other === undefined) continue;
        // Compared without division: the means of equal ratings are equal.
        const difference = one.sum * other.count - other.sum * one.count;
        const winner = difference > 0 ? 'first' : difference < 0 ? 'second' : 'tie';
        judgements.push({ judge: 'mean of judges', ...about, first, second, winner });
      }
    });
  }
  return judgements;
}
