import { at } from '../base/arrays.js';
import type { RankerCheckpoint } from '../checkpoint/index.js';
import { RankingModel } from './ranking-model.js';
import type { RankingPair } from './ranking-pairs.js';
import {
  type PairMeasure,
  sessionOptions,
  trainPairs,
  type TrainPairsOptions,
  type TrainPairsResult,
} from './train-pairs.js';

/**
 * Trains a ranker on pairs of responses as DialogRPT's `Master.train` does (its main.py and
 * master.py): its pairwise loss, and a learning rate that stays. The best ranker is that of the
 * highest validation accuracy.
 *
 * Unlike DialogRPT, which reads a shuffled file from its start, pairs are shuffled each epoch.
 *
 * @throws UserError as {@link trainPairs}.
 */
export async function trainRanker(
  checkpoint: RankerCheckpoint,
  pairs: readonly RankingPair[],
  heldOut: readonly RankingPair[],
  options: TrainPairsOptions,
): Promise<TrainPairsResult> {
  const { seed = 42, batchSize = 256, learningRate = 3e-5 } = options;
  const learner = {
    checkpoint,
    create: (gradients: boolean, draws: number) =>
      RankingModel.create(checkpoint, gradients, { ...sessionOptions(options), seed, draws }),
    batchSize,
    learningRate,
    schedule: () => 1,
    isBetter: (now: PairMeasure, best: PairMeasure) => now.accuracy > best.accuracy,
  };
  return trainPairs(learner, pairs, heldOut, options);
}

/**
 * A language model as a ranker to be trained: the head starts as the end of text's row of the
 * output layer, as DialogRPT's `Scorer.load` has it.
 */
export function rankerFromLanguageModel(
  checkpoint: Omit<RankerCheckpoint, 'score'>,
): RankerCheckpoint {
  const { parameters, tokenizer } = checkpoint;
  const width = parameters.config.n_embd;
  const embedding = parameters.view(at(parameters.layout, 0));
  const start = tokenizer.endOfText * width;
  return { ...checkpoint, score: embedding.slice(start, start + width) };
}
