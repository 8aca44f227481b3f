/**
 * The library's decoding in a browser: `import { loadModel } from 'dialogpt/browser'`. It needs
 * `onnxruntime-web` beside it, and a bundler.
 *
 * @packageDocumentation
 */
export { UserError } from '../base/errors.js';
export { fetchModel, type FetchOptions, type LoadProgress, type ModelFiles } from './files.js';
export {
  type BrowserLoadOptions,
  BrowserModel,
  type BrowserReplyOptions,
  loadModel,
} from './model.js';
export { answerInWorker, type WorkerScope } from './worker.js';
export { type ModelWorker, WorkerModel, type WorkerModelOptions } from './worker-model.js';
export { type GenerationOptions } from '../decoding/portable.js';
export { type Device } from '../runtime/portable.js';
