import type { Line } from '../base/files.js';
import type { Ensemble, Ranker, ResponsePair, Scores } from './rerank.js';

/** A ranked response: its score, the scores of an ensemble's members, and its text. */
export type RankedResponse =
  readonly [score: number, text: string] | readonly [score: number, scores: Scores, text: string];

/** A line as DialogRPT's `rank_hyps` (score.py) writes it. */
export interface RankedLine {
  /** The number of the line it was, from 0. */
  readonly line_id: number;
  readonly cxt: string;
  /** The responses, the best first. */
  readonly hyps: readonly RankedResponse[];
}

/** How {@link rankLines} ranks. */
export interface RankOptions {
  /** Responses scored at once, at least; 32. */
  readonly batchSize?: number;
  /** The most turns of a context, the last ones; 2 in DialogRPT. */
  readonly maxContextTurns?: number;
  /** Is told the number (from 0) of each line that has no response, and is left out. */
  readonly onIgnored?: (line: number) => void;
}

/**
 * Ranks responses: each line is a context and the responses to it, between tabs. Turns of a context
 * are separated by `<|endoftext|>` or ` EOS `. What comes out is what DialogRPT's `score.py test`
 * writes.
 */
export async function* rankLines(
  lines: AsyncIterable<Line>,
  ranker: Pick<Ranker, 'scorePairs'> | Pick<Ensemble, 'scorePairs'>,
  { batchSize = 32, maxContextTurns = 2, onIgnored }: RankOptions = {},
): AsyncGenerator<RankedLine, void, undefined> {
  let waiting: {
    readonly line: number;
    readonly context: string;
    readonly pairs: ResponsePair[];
  }[] = [];
  let responses = 0;
  const rankWaiting = async (): Promise<RankedLine[]> => {
    const scores = await ranker.scorePairs(waiting.flatMap(({ pairs }) => pairs));
    let offset = 0;
    const ranked = waiting.map(({ line, context, pairs }): RankedLine => {
      const own = scores.slice(offset, (offset += pairs.length));
      const hyps = pairs.flatMap(({ response }, index): RankedResponse[] => {
        const score = own[index];
        if (score === undefined) return [];
        return [
          typeof score === 'number' ? [score, response] : [score.final ?? 0, score, response],
        ];
      });
      return { line_id: line, cxt: context, hyps: hyps.sort(byScore) };
    });
    waiting = [];
    responses = 0;
    return ranked;
  };
  for await (const { text, number } of lines) {
    const [context = '', ...hypotheses] = text.split('\t');
    if (hypotheses.length === 0) {
      onIgnored?.(number - 1);
      continue;
    }
    const turns = context.split(/<\|endoftext\|>| EOS /);
    const history = maxContextTurns === 0 ? turns : turns.slice(-maxContextTurns);
    const pairs = hypotheses.map((response) => ({ history, response }));
    waiting.push({ line: number - 1, context, pairs });
    responses += pairs.length;
    if (responses >= batchSize) yield* await rankWaiting();
  }
  if (waiting.length > 0) yield* await rankWaiting();
}

/** The best first; of equal ones, the later text in the alphabet, as Python sorts pairs. */
function byScore(a: RankedResponse, b: RankedResponse): number {
  if (a[0] !== b[0]) return b[0] - a[0];
  return (a.at(-1) ?? '') < (b.at(-1) ?? '') ? 1 : -1;
}
