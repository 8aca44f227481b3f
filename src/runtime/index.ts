export {
  type Device,
  DEVICES,
  hasFusedOperators,
  HostTensor,
  type HostTensors,
  Session,
  type SessionOptions,
} from './session.js';
export { float32, floatsOf, int32, int64 } from './tensors.js';
