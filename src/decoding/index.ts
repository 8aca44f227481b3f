export { type Constraint } from './constraints.js';
export { Decoder, type DecoderOptions, type Reading } from './decoder.js';
export { type Sequence } from './slots.js';
export { generate, generateTokens, searchOf } from './generate.js';
export { promptTokens } from './history.js';
export {
  DialogModel,
  loadModel,
  type LoadOptions,
  ModelLostError,
  type ReplyOptions,
} from './model.js';
export {
  type DecodingOptions,
  decodingOptions,
  type GenerationOptions,
  generationOptions,
} from './options.js';
export { type ModelEvent, type ModelTask, type ToldToken } from './protocol.js';
export { type Reader, SharedDecoder } from './reader.js';
export { type ReplyCandidate, replySearch, replyText, streamReply } from './reply.js';
export {
  Ensemble,
  type EnsembleMember,
  MutualInformation,
  Ranker,
  type Reranker,
  type Scores,
} from './rerank.js';
export { BlockList, DEFAULT_BLOCK_LIST, type Intervention } from './safety.js';
export { argmax, type Candidate, candidates, draw } from './sampling.js';
export { Scorer, type ScoredSequence } from './scorer.js';
export { finishSearch, type Generation, runSearches, type Search } from './search.js';
export { searchTask } from './task.js';
