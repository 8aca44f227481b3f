export { useHugePages } from './huge-pages.js';
export { type Communicator, joinProcesses, ALONE, type Summable } from './mpi.js';
export { addressOf, floatsAt, type NativeFloats } from './native-memory.js';
export * from './portable.js';
export { hasHalfPrecision, requireDevice } from './require-device.js';
export { Session, type SessionOptions } from './session.js';
export { addsSignedBytes } from './signed-bytes.js';
