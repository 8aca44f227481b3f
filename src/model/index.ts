export {
  cachedAttention,
  cacheName,
  inPlaceAttention,
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
  type LayerOptions,
  noDropout,
  ownProjection,
  parameterInputs,
  type ParameterTensors,
  type Projection,
  type TokenInputs,
  throughLayers,
  transformerLayer,
  trainingDropout,
} from './forward.js';
export {
  LORA_MODULES,
  LoraAdapter,
  loraInputs,
  type LoraOptions,
  loraProjection,
  targetedModules,
} from './lora.js';
export { raggedPlaces, type RaggedPlaces } from './ragged.js';
export {
  headSlices,
  layerParameter,
  layerParameterShapes,
  layoutOf,
  type Parameter,
  ParameterBuffer,
  parameterCount,
  parameterLayout,
  Parameters,
  parameterShapes,
  POSITION_EMBEDDING,
  TOKEN_EMBEDDING,
} from './parameters.js';
