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
  embed,
  forward,
  lastNormalization,
  noDropout,
  parameterInputs,
  type ParameterTensors,
  type TokenInputs,
  throughLayers,
  transformerLayer,
  trainingDropout,
} from './forward.js';
export { raggedPlaces, type RaggedPlaces } from './ragged.js';
export {
  layerParameter,
  layerParameterShapes,
  type Parameter,
  parameterCount,
  parameterLayout,
  Parameters,
  parameterShapes,
  POSITION_EMBEDDING,
  TOKEN_EMBEDDING,
} from './parameters.js';
