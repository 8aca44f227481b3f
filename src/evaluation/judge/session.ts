import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, truncate } from 'node:fs/promises';
import { at } from '../../base/arrays.js';
import { withFileErrors } from '../../base/errors.js';
import { exists } from '../../base/files.js';
import { Random } from '../../base/random.js';
import { type Judgement, QUESTIONS, readJudgements } from './judgements.js';

/** Two systems' responses to the same conversations. */
export interface Comparison {
  readonly contexts: readonly string[];
  readonly first: { readonly system: string; readonly responses: readonly string[] };
  readonly second: { readonly system: string; readonly responses: readonly string[] };
}

/** A pair of responses as a judge sees it: nothing tells which system wrote which. */
export interface Task {
  readonly instance: number;
  readonly context: string;
  readonly left: string;
  readonly right: string;
  /** How many pairs this judge has judged, and how many there are. */
  readonly done: number;
  readonly total: number;
}

/** A judge's answer to a question about a {@link Task}. */
export type Answer = 'left' | 'right' | 'tie';

/**
 * Hands out pairs of responses and writes down what judges say of them. Each judge gets the pairs
 * in an order and with sides of their own, drawn from the seed and the judge's name, so that a
 * session can be left and taken up again.
 */
export class JudgingSession {
  readonly #comparison: Comparison;
  readonly #seed: number;
  readonly #file: FileHandle;
  /** By judge, the instances judged. */
  readonly #done = new Map<string, Set<number>>();

  private constructor(comparison: Comparison, seed: number, file: FileHandle) {
    this.#comparison = comparison;
    this.#seed = seed;
    this.#file = file;
  }

  /**
   * Opens the file of judgements, made where it is not there. A last line that was cut off while
   * it was written is removed.
   */
  static async open(path: string, comparison: Comparison, seed: number): Promise<JudgingSession> {
    if (await exists(path)) await removeTornLine(path);
    const before = (await exists(path)) ? await readJudgements(path) : [];
    const file = await withFileErrors(path, () => open(path, 'a'));
    const session = new JudgingSession(comparison, seed, file);
    const { first, second } = comparison;
    for (const judgement of before) {
      if (judgement.first === first.system && judgement.second === second.system) {
        session.#doneBy(judgement.judge).add(Number(judgement.instance) - 1);
      }
    }
    return session;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The next pair for a judge, or undefined where all are judged. */
  next(judge: string): Task | undefined {
    const { contexts, first, second } = this.#comparison;
    const done = this.#doneBy(judge);
    const order = this.#randomFor(judge, 'order').shuffle(contexts.map((_, instance) => instance));
    const instance = order.find((candidate) => !done.has(candidate));
    if (instance === undefined) return undefined;
    const responses = [at(first.responses, instance), at(second.responses, instance)];
    if (this.#isSwapped(judge, instance)) responses.reverse();
    return {
      instance,
      context: at(contexts, instance),
      left: at(responses, 0),
      right: at(responses, 1),
      done: done.size,
      total: contexts.length,
    };
  }

  /**
   * Writes down a judge's answers about one pair; they are on the disk when this returns. A pair
   * that the judge has judged already is left as it is.
   */
  async record(
    judge: string,
    instance: number,
    answers: Readonly<Record<keyof typeof QUESTIONS, Answer>>,
  ): Promise<void> {
    const done = this.#doneBy(judge);
    if (done.has(instance)) return;
    done.add(instance);
    const { first, second } = this.#comparison;
    const swapped = this.#isSwapped(judge, instance);
    const lines = Object.entries(answers).map(([question, answer]) => {
      const winner =
        answer === 'tie' ? 'tie' : (answer === 'left') === swapped ? 'second' : 'first';
      const judgement: Judgement = {
        judge,
        instance: String(instance + 1),
        question,
        first: first.system,
        second: second.system,
        winner,
      };
      return `${JSON.stringify(judgement)}\n`;
    });
    try {
      await this.#file.appendFile(lines.join(''));
      await this.#file.sync();
    } catch (error) {
      done.delete(instance);
      throw error;
    }
  }

  #doneBy(judge: string): Set<number> {
    const done = this.#done.get(judge) ?? new Set<number>();
    this.#done.set(judge, done);
    return done;
  }

  #isSwapped(judge: string, instance: number): boolean {
    return this.#randomFor(judge, `sides of ${instance}`).below(2) === 1;
  }

  #randomFor(judge: string, purpose: string): Random {
    const digest = createHash('sha256').update(JSON.stringify([this.#seed, judge, purpose]));
    return new Random(digest.digest().readUIntBE(0, 6));
  }
}

async function removeTornLine(path: string): Promise<void> {
  await withFileErrors(path, async () => {
    const bytes = await readFile(path);
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end < bytes.length) await truncate(path, end);
  });
}
