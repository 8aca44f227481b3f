export { type Batch, makeBatch } from './batch.js';
export { epochBatches, sortedBatches } from './loader.js';
export { LossModel, type LossModelOptions } from './loss-model.js';
export { Adam, type AdamOptions, decaysInOriginal } from './optimizer.js';
export { LossSum, type MeasuredPerplexity, measurePerplexity, type Perplexity, unigramPerplexity } from './perplexity.js';
export { learningRateAt, type ScheduleName, type ScheduleOptions, SCHEDULES } from './schedule.js';
export {
  type StepReport,
  train,
  type TrainOptions,
  type TrainResult,
  type ValidationReport,
} from './train.js';
