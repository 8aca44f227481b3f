import { UserError } from './errors.js';
import { readLines } from './files.js';

/** A response that somebody judged. */
export interface JudgedResponse {
  /** The turns before it, the one that it answers last. */
  readonly history: readonly string[];
  readonly response: string;
  /** Whether it does. */
  readonly good: boolean;
}

/**
 * Reads judged responses: lines of a context (turns separated by " EOS "), a response, and 1 where it
 * does or 0 where it does not, between tabs.
 *
 * @throws UserError naming the line that is otherwise.
 */
export async function readJudgedResponses(path: string): Promise<JudgedResponse[]> {
  const judged: JudgedResponse[] = [];
  for await (const { number, text } of readLines(path)) {
    if (text.trim() === '') continue;
    const [context = '', response = '', verdict = '', ...more] = text.split('\t');
    const history = context.split(' EOS ').map((turn) => turn.trim());
    if (!/^[01]$/.test(verdict.trim()) || more.length > 0 || history.at(-1) === '') {
      throw new UserError(
        `${path}, line ${number}: expected a context, a response and 0 or 1 between tabs.`,
      );
    }
    judged.push({ history, response: response.trim(), good: verdict.trim() === '1' });
  }
  return judged;
}
