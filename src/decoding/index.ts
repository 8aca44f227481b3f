export { Decoder, type DecoderOptions } from './decoder.js';
export { promptTokens } from './history.js';
export { DialogModel, loadModel, type ReplyOptions } from './model.js';
export { type GenerationOptions, generationOptions } from './options.js';
export { generateTokens, streamReply } from './reply.js';
export { argmax, type Candidate, candidates, draw } from './sampling.js';
