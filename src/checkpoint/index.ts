export { freshCheckpoint } from './fresh.js';
export {
  type Checkpoint,
  type DecodingModel,
  loadAdapterCheckpoint,
  loadCheckpoint,
  loadCheckpointTokenizer,
  loadRanker,
  mergeAdapter,
  openForDecoding,
  type RankerCheckpoint,
  saveCheckpoint,
  saveInt8Checkpoint,
} from './folder.js';
export { loadParameters, readConfig } from './parameters.js';
export {
  type NamedTensor,
  openSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from './safetensors.js';
export { type SafetensorsEntry, type SafetensorsHeader } from './safetensors-format.js';
export { type TensorSource } from './tensor-source.js';
export { openTorchFile } from './torch-file.js';
export { openWeights, type Weights } from './weights.js';
export { downloadModel, type HubOptions } from './hub.js';
export { type CachedModelInfo, listCachedModels } from './hub-listing.js';
export { type DownloadProgress } from './hub-download.js';
export { type HubSettings, hubSettings } from './hub-settings.js';
export { DEFAULT_MODEL, resolveModel, SHORT_NAMES } from './resolve.js';
export {
  hasValueHead,
  loadValueHead,
  saveValueHead,
  VALUE_HEAD,
  VALUE_MEASURES,
  type ValueHead,
} from './value-head.js';
export { convertModel, FORMATS } from './convert.js';
export { describeModel, type ModelDescription } from './describe.js';
export { verifyModel, type VerifiedFile } from './verify.js';
export { saveOnnx } from './onnx-folder.js';
export { type Precision, PRECISIONS } from './onnx-weights.js';
export { openGraphWeights } from './graph-weights.js';
export * from './portable.js';
export { type PortableFile, type PortableFolder, portableFolder } from './portable-folder.js';
export { int8File } from './int8-cache.js';
export { writeInt8 } from './int8.js';
