export { type Batch, type BatchRounding, makeBatch } from './batch.js';
export { DeviceLearner, type DeviceLearnerOptions } from './device-learner.js';
export { HostLearner, type HostLearnerOptions } from './host-learner.js';
export { type Learner, type Moments, type UpdateReport } from './learner.js';
export { epochBatches, sortedBatches } from './loader.js';
export { LossModel, type LossModelOptions } from './loss-model.js';
export { Adam, type AdamOptions, decaysInOriginal } from './optimizer.js';
export {
  LossSum,
  type MeasuredPerplexity,
  measurePerplexity,
  type Perplexity,
  unigramPerplexity,
} from './perplexity.js';
export {
  type PreferenceLoss,
  PreferenceModel,
  type PreferenceModelOptions,
  type ReferenceLosses,
  referenceLosses,
} from './preference-model.js';
export { RankingModel, type RankingWeights } from './ranking-model.js';
export { type JudgedPairsOptions, pairsOfJudged } from './judged-pairs.js';
export {
  type RankingPair,
  type RankingPairsOptions,
  readRankingPairs,
  withGaps,
} from './ranking-pairs.js';
export { learningRateAt, type ScheduleName, type ScheduleOptions, SCHEDULES } from './schedule.js';
export { checkpointFolder, checkpointSteps, openRun, runFolder } from './checkpoints.js';
export {
  type StepReport,
  type TrainOptions,
  type TrainResult,
  type ValidationReport,
} from './options.js';
export { type TrainingState } from './state.js';
export { train } from './train.js';
export {
  measurePairs,
  type PairStep,
  type PairValidation,
  type TrainPairsOptions,
  type TrainPairsResult,
} from './train-pairs.js';
export { trainPreferences, type TrainPreferencesOptions } from './train-preferences.js';
export { rankerFromLanguageModel, trainRanker } from './train-ranker.js';
export { CURVES, type CurveName, type Point, readRuns, type RunCurves } from './curves.js';
export { Dashboard } from './dashboard.js';
export { drawCurves, svgToPng } from './plot.js';
