/** What of this room runs in a browser too. */
export {
  DECODING_TYPES,
  type DecodingType,
  type GraphWeights,
  memoryWeights,
  weightsInMemory,
} from './stored-weights.js';
