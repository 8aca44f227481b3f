import type { JudgedResponse } from '../base/judged-responses.js';
import { Random } from '../base/random.js';
import { joinTurns, type RankingPair, type RankingPairsOptions, toPair } from './ranking-pairs.js';

/** How {@link pairsOfJudged} makes pairs. */
export interface JudgedPairsOptions extends Pick<
  RankingPairsOptions,
  'tokenizer' | 'maxSequenceLength'
> {
  /** The most pairs of one history, drawn at random from all of a good and a bad response. */
  readonly pairsPerContext: number;
  readonly seed: number;
}

/** Pairs of a good and a bad response to the same history, histories in the order of their first. */
export function pairsOfJudged(
  judged: readonly JudgedResponse[],
  { pairsPerContext, seed, ...options }: JudgedPairsOptions,
): RankingPair[] {
  const { tokenizer } = options;
  const byContext = new Map<
    string,
    { good: Set<string>; bad: Set<string>; history: readonly string[] }
  >();
  for (const { history, response, good } of judged) {
    const key = history.join('\n');
    const known = byContext.get(key) ?? { good: new Set(), bad: new Set(), history };
    byContext.set(key, known);
    known[good ? 'good' : 'bad'].add(response);
  }
  const random = new Random(seed);
  return [...byContext.values()].flatMap(({ history, good, bad }) => {
    const turns = history.map((turn) => tokenizer.encode(turn));
    const context = joinTurns(turns, tokenizer);
    const all = [...good].flatMap((better) => [...bad].map((worse) => [better, worse] as const));
    return random
      .shuffle(all)
      .slice(0, pairsPerContext)
      .map(([better, worse]) => {
        const row = { context, better: tokenizer.encode(better), gaps: undefined };
        return toPair(row, tokenizer.encode(worse), options);
      });
  });
}
