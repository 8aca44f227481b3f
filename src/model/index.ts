export {
  cachedAttention,
  cacheName,
  raggedAttention,
  type RaggedLayout,
  raggedLayoutInputs,
} from './attention.js';
export {
  type Gpt2Config,
  gpt2Config,
  type Gpt2Options,
  innerWidth,
  PUBLISHED_SIZES,
} from './config.js';
export {
  type Attention,
  type Dropout,
  type DropoutMask,
  forward,
  noDropout,
  parameterInputs,
  type ParameterTensors,
  type TokenInputs,
  trainingDropout,
} from './forward.js';
export { raggedPlaces, type RaggedPlaces } from './ragged.js';
export {
  layerParameter,
  type Parameter,
  parameterCount,
  parameterLayout,
  Parameters,
  parameterShapes,
  POSITION_EMBEDDING,
  TOKEN_EMBEDDING,
} from './parameters.js';
