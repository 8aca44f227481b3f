/** What of this room runs in a browser too. */
export { type Device, DEVICES, hasFusedOperators } from './devices.js';
export { type ExternalFiles, type GraphSession, type OpenSession } from './graph-session.js';
export {
  boolean,
  float32,
  floatsOf,
  HostTensor,
  type HostTensors,
  int32,
  int64,
} from './tensors.js';
