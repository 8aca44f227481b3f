import type { Graph, Tensor } from '../graph/index.js';
import { type Gpt2Config, type Parameters, type ParameterTensors } from '../model/index.js';
import type { ExternalFiles } from '../runtime/index.js';

/** A model's weights as constants of a graph: they lie in a file or in memory, beside the graph. */
export interface GraphWeights {
  readonly config: Gpt2Config;
  readonly files: ExternalFiles;
  /** Declares the parameters in a graph. */
  declare(graph: Graph): ParameterTensors;
  /** Rewrites the finished graph, where it is to compute with other numbers than 32-bit ones. */
  finish(graph: Graph): void;
}

const IN_MEMORY = 'parameters';

/** Weights that lie in memory; used in place while the graph is loaded. */
export function memoryWeights(parameters: Parameters): GraphWeights {
  const { config, layout, buffer } = parameters;
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  return {
    config,
    files: { memory: new Map([[IN_MEMORY, bytes]]) },
    declare: (graph) =>
      tensorsByName(
        layout.map(({ name, shape, offset, length }) => {
          const data = { location: IN_MEMORY, offset: offset * 4, length: length * 4 };
          return [name, graph.external(name, 'float32', shape, data)];
        }),
      ),
    finish: () => undefined,
  };
}

/** Looks parameters up by their names. */
export function tensorsByName(
  tensors: readonly (readonly [string, Tensor])[],
): ParameterTensors {
  const byName = new Map(tensors);
  return (name) => {
    const tensor = byName.get(name);
    if (tensor === undefined) throw new Error(`The model has no parameter ${name}.`);
    return tensor;
  };
}
