/** What of this room runs in a browser too. */
export { CachedReader, type CachedReaderOptions } from './cached-reader.js';
export { checkOptions, parseModelDefaults, withDefaults } from './model-defaults.js';
export { type GenerationOptions } from './options.js';
export { type Reader, SharedDecoder } from './reader.js';
export { type ReplyCandidate, type ReplySummary, streamReply } from './reply.js';
export type { Intervention } from './safety.js';
