import type { InferenceSession } from 'onnxruntime-common';
import { messageOf, UserError } from '../base/errors.js';
import { type Graph, serialize } from '../graph/index.js';
import type { Device } from './devices.js';
import type { ExternalFiles, GraphSession } from './graph-session.js';
import { floatsOf, type HostTensor, type HostTensors } from './tensors.js';

/** How a {@link WebSession} runs. */
export interface WebSessionOptions {
  /** The processor through WebAssembly (`cpu`), unless `webgpu`. */
  readonly device?: Device;
  /**
   * Threads that one operator may use; above 1 they need a page that is isolated from other origins.
   * By default ONNX Runtime decides.
   */
  readonly threads?: number;
  /**
   * Where ONNX Runtime's own files lie (`ort-wasm-simd-threaded*`), with a slash at the end. By
   * default where the bundler put them.
   */
  readonly runtimeFiles?: string;
}

/**
 * A graph made ready to run by ONNX Runtime's build for browsers (`onnxruntime-web`): on the
 * processor through WebAssembly, or on a GPU through WebGPU.
 */
export class WebSession implements GraphSession {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /**
   * Compiles a graph. Its constants, which lie in memory, are copied into WebAssembly's own.
   *
   * @throws UserError if the device cannot be had.
   */
  static async create(
    graph: Graph,
    { device = 'cpu', threads, runtimeFiles }: WebSessionOptions = {},
    { memory }: ExternalFiles = {},
  ): Promise<WebSession> {
    if (device === 'cuda') throw new UserError('A browser has no CUDA; use webgpu or cpu.');
    // The build that knows WebGPU is twice as large; it is loaded where it is wanted.
    const runtime =
      device === 'webgpu'
        ? await import('onnxruntime-web/webgpu')
        : await import('onnxruntime-web/wasm');
    const { wasm } = runtime.env;
    if (runtimeFiles !== undefined) wasm.wasmPaths = runtimeFiles;
    if (threads !== undefined) wasm.numThreads = threads;
    try {
      const session = await runtime.InferenceSession.create(serialize(graph), {
        executionProviders: [device === 'webgpu' ? 'webgpu' : 'wasm'],
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        enableMemPattern: false,
        ...(memory === undefined
          ? {}
          : { externalData: Array.from(memory, ([path, data]) => ({ path, data })) }),
      });
      return new WebSession(session);
    } catch (error) {
      if (device !== 'webgpu') throw error;
      throw new UserError(`This browser's WebGPU cannot be used (${messageOf(error)}); use cpu.`, {
        cause: error,
      });
    }
  }

  async run(
    feeds: HostTensors,
    fetches: Readonly<Record<string, HostTensor | null>>,
  ): Promise<HostTensors> {
    // ONNX Runtime leaves a given tensor's memory as it is here, unless it is a GPU's.
    const wanted = Object.fromEntries(Object.keys(fetches).map((name) => [name, null]));
    const results: HostTensors = await this.#session.run(feeds, wanted);
    for (const [name, tensor] of Object.entries(fetches)) {
      if (tensor !== null) floatsOf(tensor).set(floatsOf(results[name]));
    }
    return results;
  }

  /** Frees what the session holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release();
  }
}
