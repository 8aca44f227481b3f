import type { Checkpoint } from '../checkpoint/index.js';
import { UserError } from '../base/errors.js';
import { PreferenceModel, type ReferenceLosses, referenceLosses } from './preference-model.js';
import type { RankingPair } from './ranking-pairs.js';
import { learningRateAt } from './schedule.js';
import { checksum } from './state.js';
import {
  type PairMeasure,
  sessionOptions,
  trainPairs,
  type TrainPairsOptions,
  type TrainPairsResult,
} from './train-pairs.js';

/** How {@link trainPreferences} trains. */
export interface TrainPreferencesOptions extends TrainPairsOptions {
  /** How much what the model was before holds it back; 0.1, as in Rafailov et al. 2023 and TRL. */
  readonly beta?: number;
  /** The weight of the better responses' own loss (TRL's `rpo_alpha`); 0.2. */
  readonly rpoAlpha?: number;
  /** Is told before training of how many pairs the reference's log-likelihoods are known. */
  readonly onReference?: (pairs: number) => void;
}

/**
 * Trains a language model to prefer some responses to others: direct preference optimization (DPO,
 * Rafailov et al. 2023), with no reward model between. The learning rate rises over a tenth of the
 * steps and falls to nothing. The best model is that of the lowest validation loss.
 *
 * @throws UserError as {@link trainPairs}, and for a model with an adapter.
 */
export async function trainPreferences(
  checkpoint: Checkpoint,
  pairs: readonly RankingPair[],
  heldOut: readonly RankingPair[],
  options: TrainPreferencesOptions,
): Promise<TrainPairsResult> {
  const { seed = 42, batchSize = 64, learningRate = 5e-5, steps } = options;
  const { beta = 0.1, rpoAlpha = 0.2 } = options;
  const { parameters, tokenizer, adapter } = checkpoint;
  if (adapter !== undefined) {
    throw new UserError(
      'Preferences train all weights; a model with an adapter cannot be trained so.',
    );
  }
  let reference: ReferenceLosses = new Map();
  const create = (gradients: boolean, draws: number) =>
    PreferenceModel.create(parameters, gradients, {
      ...sessionOptions(options),
      endOfText: tokenizer.endOfText,
      beta,
      rpoAlpha,
      reference,
      seed,
      draws,
    });
  const schedule = { learningRate: 1, steps, warmupProportion: 0.1, warmupSteps: 0, width: 0 };
  const learner = {
    checkpoint,
    create,
    measure: async () => {
      await using model = await create(false, 0);
      const measured = await referenceLosses(model, [...pairs, ...heldOut], options);
      reference = measured ?? reference;
      return measured !== undefined;
    },
    batchSize,
    learningRate,
    schedule: (step: number) => learningRateAt('cosine', step, schedule),
    isBetter: (now: PairMeasure, best: PairMeasure) => now.loss < best.loss,
    preferences: { reference: await checksum(parameters), beta, rpoAlpha, steps },
  };
  return await trainPairs(learner, pairs, heldOut, options);
}
