import type { Graph } from '../graph/index.js';
import type { Device } from './devices.js';
import type { HostTensor, HostTensors } from './tensors.js';

/** Where the constants lie that a graph does not hold itself. */
export interface ExternalFiles {
  /** The folder of the files that the graph names. */
  readonly folder?: string;
  /** Files that exist in memory only, under the names that the graph gives them. */
  readonly memory?: ReadonlyMap<string, Uint8Array>;
}

/** A graph made ready to run, whichever build of ONNX Runtime runs it. */
export interface GraphSession extends AsyncDisposable {
  /**
   * Runs the graph once.
   *
   * @param feeds the inputs; their memory is read in place
   * @param fetches the outputs wanted, each either a tensor whose memory is to be overwritten with
   *   the result, or null to have a new one made
   */
  run(
    feeds: HostTensors,
    fetches: Readonly<Record<string, HostTensor | null>>,
  ): Promise<HostTensors>;
}

/** Makes a graph ready to run on a device; the constants it names lie in `files`. */
export type OpenSession = (
  graph: Graph,
  device: Device,
  files: ExternalFiles,
) => Promise<GraphSession>;
