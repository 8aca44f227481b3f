import './no-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Graph, serialize } from '../graph/index.js';
import type { Device } from './devices.js';
import type { ExternalFiles, GraphSession } from './graph-session.js';
import { requireDevice, webgpuProvider } from './require-device.js';
import type { HostTensor, HostTensors } from './tensors.js';

/** How a {@link Session} runs. */
export interface SessionOptions {
  readonly device?: Device;
  /** Threads that one operator may use; by default ONNX Runtime takes one for each core. */
  readonly threads?: number;
  /**
   * Every output that is asked for is written into a tensor that the caller gives. The binding
   * then makes no copies of them, which for gradients would be as large as the model at each run.
   */
  readonly inPlace?: boolean;
  /**
   * Outputs that stay in the device's memory. They are fed as they are to sessions of the same
   * device, and their memory is freed by `dispose()`. On the CPU they are like all others.
   */
  readonly kept?: readonly string[];
  /**
   * Note how long each operator takes, in a file whose name begins so; it is whole once the session has
   * been disposed of.
   */
  readonly profile?: string | undefined;
}

/**
 * The name of the output that ends a run in place. The binding copies outputs to JavaScript one
 * after the other once everything is computed, and cannot copy a sequence: as the first output,
 * it ends the copying with {@link CANNOT_COPY}. A binding that can, or that does not copy, returns
 * as usual, and nothing is lost.
 */
const END = 'end_of_run';

/** The binding's message about an output that is not a tensor. */
const CANNOT_COPY = 'Non tensor type is temporarily not supported.';

/** How long a thread spins before it sleeps (microseconds). */
const SPIN = '100';

/** A graph made ready to run on a device by ONNX Runtime's native build. */
export class Session implements GraphSession {
  readonly #session: InferenceSession;
  readonly #inPlace: boolean;

  private constructor(session: InferenceSession, inPlace: boolean) {
    this.#session = session;
    this.#inPlace = inPlace;
  }

  /**
   * Compiles a graph for a device. Its constants are laid out for the processor's products then; it
   * keeps no hold on the memory they came from.
   *
   * @throws UserError if the device cannot be had.
   */
  static async create(
    graph: Graph,
    { device = 'cpu', threads, inPlace = false, kept = [], profile }: SessionOptions = {},
    { folder, memory }: ExternalFiles = {},
  ): Promise<Session> {
    await requireDevice(device);
    const model = serialize(graph, inPlace ? { emptySequence: END } : {});
    const session = await InferenceSession.create(model, {
      executionProviders: [device === 'webgpu' ? webgpuProvider() : device],
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
      extra: {
        session: {
          // Threads that spin while they wait take the processor from everybody else; waking them
          // takes longer than the shortest operations. So they spin for a moment, within a run.
          intra_op: { allow_spinning: '1', spin_duration_us: SPIN },
          force_spinning_stop: '1',
          ...(folder === undefined ? {} : { model_external_initializers_file_folder_path: folder }),
        },
      },
      ...(memory === undefined
        ? {}
        : { externalData: Array.from(memory, ([path, data]) => ({ path, data })) }),
      ...(device === 'webgpu' && kept.length > 0
        ? { preferredOutputLocation: locations(graph, kept) }
        : {}),
      // The pattern planner reserves about 1 GB that GPT-2 small does not need.
      enableMemPattern: false,
      ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    });
    return new Session(session, inPlace);
  }

  /**
   * Runs the graph once. The computation occupies the calling thread until it ends.
   *
   * @param feeds the inputs; their memory is read in place
   * @param fetches the outputs wanted, each either a tensor whose memory is to be overwritten with
   *   the result, which may be that of a feed, or null to have a new one made (not in a session
   *   that only writes in place)
   */
  async run(
    feeds: HostTensors,
    fetches: Readonly<Record<string, HostTensor | null>>,
  ): Promise<HostTensors> {
    const given = Object.fromEntries(
      Object.entries(fetches).flatMap(([name, tensor]) =>
        tensor === null ? [] : [[name, tensor]],
      ),
    );
    if (this.#inPlace) {
      await this.#runInPlace(feeds, native(given));
      return given;
    }
    // ONNX Runtime fills the given tensors and returns copies of them.
    return { ...(await this.#session.run(feeds, { ...fetches, ...native(given) })), ...given };
  }

  async #runInPlace(feeds: HostTensors, fetches: HostTensors): Promise<void> {
    try {
      await this.#session.run(feeds, { [END]: null, ...fetches });
    } catch (error) {
      if (!(error instanceof Error && error.message.includes(CANNOT_COPY))) throw error;
    }
  }

  /** Frees what the session holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release();
  }
}

function locations(
  graph: Graph,
  kept: readonly string[],
): Readonly<Record<string, 'cpu' | 'gpu-buffer'>> {
  return Object.fromEntries(
    graph.outputs.map((output) => {
      const name = graph.nameOf(output);
      return [name, kept.includes(name) ? 'gpu-buffer' : 'cpu'];
    }),
  );
}

/**
 * The same tensors of the class that the binding tells from other objects: it has a copy of its own
 * of what {@link HostTensor} is. The memory is shared.
 */
function native(tensors: HostTensors): HostTensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      tensor instanceof Tensor ? tensor : new Tensor(tensor.type, tensor.data, tensor.dims),
    ]),
  );
}
