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
export type { Importer, ImporterOptions, Message } from './corpus/importers/importer.js';
export { importers } from './corpus/importers/importers.js';
export {
  formatDstc7,
  formatMultiReference,
  type MultiReference,
  parseMultiReference,
  readMultiReferences,
  type ScoredReference,
} from './corpus/multi-reference-lines.js';
export {
  convertMultiReferences,
  makeMultiReferences,
  type MultiReferenceCounts,
} from './corpus/multi-references.js';
export {
  type CorpusStatistics,
  countCorpus,
  FULL_CORPUS,
  isFullCorpus,
} from './corpus/statistics.js';
export { type MonthStatus, readStatus, totalStatus } from './corpus/status.js';
export {
  buildDataset,
  type BuildOptions,
  type BuildProgress,
  Dataset,
  type DatasetDescription,
  datasetStatistics,
  type DatasetStatistics,
  type Deduplication,
  type Example,
  trainTokenizer,
} from './dataset/index.js';
export {
  BlockList,
  Decoder,
  type DecoderOptions,
  type DecodingOptions,
  DialogModel,
  Ensemble,
  generate,
  type Generation,
  type GenerationOptions,
  generateTokens,
  type Intervention,
  loadModel,
  type LoadOptions,
  MutualInformation,
  Ranker,
  type ReplyCandidate,
  type ReplyOptions,
  Scorer,
  type Scores,
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
