export { type Communicator, joinProcesses, ALONE, type Summable } from './mpi.js';
export {
  type Device,
  DEVICES,
  hasFusedOperators,
  hasHalfPrecision,
  requireDevice,
} from './devices.js';
export { addressOf, floatsAt, type NativeFloats } from './native-memory.js';
export {
  type ExternalFiles,
  HostTensor,
  type HostTensors,
  Session,
  type SessionOptions,
} from './session.js';
export { addsSignedBytes } from './signed-bytes.js';
export { boolean, float32, floatsOf, int32, int64 } from './tensors.js';
