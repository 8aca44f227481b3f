/**
 * The library: everything that the commands of `dialogpt` do.
 *
 * @packageDocumentation
 */
export { UserError } from './base/errors.js';
export {
  type Checkpoint,
  convertModel,
  describeModel,
  type DownloadProgress,
  freshCheckpoint,
  type HubOptions,
  type HubSettings,
  hubSettings,
  listCachedModels,
  loadCheckpoint,
  loadRanker,
  type ModelDescription,
  type RankerCheckpoint,
  resolveModel,
  saveCheckpoint,
  saveOnnx,
} from './checkpoint/index.js';
export {
  type Conversation,
  type ConversationTurn,
  formatConversation,
  parseConversation,
  readConversations,
} from './corpus/conversation.js';
export { importConversations, type ImportCounts, type ImportOptions } from './corpus/import.js';
export {
  buildDataset,
  type BuildOptions,
  Dataset,
  type DatasetDescription,
  type Example,
  trainTokenizer,
} from './dataset/index.js';
export {
  type DecoderOptions,
  DialogModel,
  type GenerationOptions,
  loadModel,
  type ReplyOptions,
} from './decoding/index.js';
export {
  averageLength,
  bleu,
  chrf,
  cider,
  cleanText,
  type Comparison,
  compareSystems,
  type Corpus,
  distinct,
  diversity,
  type Diversity,
  dstcCorpus,
  entropy,
  evaluateFiles,
  type Evaluation,
  Evaluator,
  formatReport,
  meteor,
  type MeteorResources,
  type Metric,
  mtevalMetric,
  nist,
  NO_METEOR_RESOURCES,
  PUBLISHED,
  readMeteorResources,
  rougeL,
  sacreBleu,
  scoreCorpus,
  tallyFile,
  tallyJudgements,
} from './evaluation/index.js';
export {
  type Gpt2Config,
  gpt2Config,
  type Gpt2Options,
  parameterCount,
  Parameters,
  PUBLISHED_SIZES,
} from './model/index.js';
export { type Device, DEVICES } from './runtime/index.js';
export {
  END_OF_TEXT,
  gpt2Tokenizer,
  loadTokenizer,
  Tokenizer,
  trainVocabulary,
} from './tokenizer/index.js';
export {
  Adam,
  type AdamOptions,
  learningRateAt,
  LossModel,
  makeBatch,
  measurePerplexity,
  type Perplexity,
  type ScheduleName,
  SCHEDULES,
  type StepReport,
  train,
  type TrainOptions,
  type TrainResult,
  unigramPerplexity,
  type ValidationReport,
} from './training/index.js';
