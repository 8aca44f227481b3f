export { type Constraint } from './constraints.js';
export { Decoder, type DecoderOptions } from './decoder.js';
export { type Sequence } from './slots.js';
export { generate, generateTokens, searchOf } from './generate.js';
export { promptTokens } from './history.js';
export { OnnxClassifier } from './classifier.js';
export { parseContext, readContexts } from './contexts.js';
export {
  checkOptions,
  type ModelDefaults,
  optionsFit,
  withDefaults,
  withOption,
} from './model-defaults.js';
export { readGenerationConfig, readModelDefaults } from './stored-defaults.js';
export {
  DialogModel,
  type FindOptions,
  loadModel,
  type LoadOptions,
  ModelLostError,
  type ReplyOptions,
} from './model.js';
export {
  DEFAULT_NEW_TOKENS,
  type DecodingOptions,
  decodingOptions,
  GENERATION_OPTION_NAMES,
  type GenerationOptions,
  generationOptions,
} from './options.js';
export { type ModelEvent, type ModelTask, type ToldToken } from './protocol.js';
export { type RankedLine, type RankedResponse, rankLines, type RankOptions } from './rank.js';
export { type NamedRanker, namedRankers, readEnsemble } from './ranker-names.js';
export { type Reader, type Reading, SharedDecoder } from './reader.js';
export {
  type ReplyCandidate,
  replySearch,
  type ReplySummary,
  replyText,
  type RerankerName,
  streamReply,
} from './reply.js';
export {
  DEFAULT_BATCH_SIZE,
  type GeneratedResponse,
  generateResponses,
  type ResponseOptions,
  responsesAtOnce,
  seedOfContext,
} from './responses.js';
export { ResponseFile, type ResponseFileOptions, type ResponseSettings } from './response-file.js';
export {
  Ensemble,
  type EnsembleMember,
  MutualInformation,
  Ranker,
  type Reranker,
  type ResponsePair,
  type Scores,
} from './rerank.js';
export {
  BlockList,
  DEFAULT_BLOCK_LIST,
  type Intervention,
  type SafetyClassifier,
} from './safety.js';
export { argmax, type Candidate, candidates, draw } from './sampling.js';
export { Scorer, type ScoredSequence } from './scorer.js';
export { trainValueHead, type ValueHeadOptions, type ValueHeadReport } from './train-value-head.js';
export { loadValueReranker, ReplyReader, valueReranker } from './value-reranker.js';
export { finishSearch, type Generation, runSearches, type Search } from './search.js';
export { type Shown, StopStrings } from './stop-strings.js';
export { searchTask } from './task.js';
