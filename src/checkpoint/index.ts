export { freshCheckpoint } from './fresh.js';
export {
  type Checkpoint,
  loadCheckpoint,
  loadCheckpointTokenizer,
  saveCheckpoint,
} from './folder.js';
export {
  type NamedTensor,
  openSafetensors,
  readSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
  writeSafetensors,
} from './safetensors.js';
export { type FloatType, type TensorSource } from './tensor-source.js';
