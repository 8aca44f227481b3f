import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { UserError } from '../base/errors.js';
import { cast, type ElementType, type Graph, type Tensor } from '../graph/index.js';
import {
  type Gpt2Config,
  type Parameter,
  parameterLayout,
  type Parameters,
  type ParameterTensors,
} from '../model/index.js';
import { addsSignedBytes, type ExternalFiles } from '../runtime/index.js';
import { type ByteMatrices, isQuantizable, standIn } from './byte-matrices.js';
import { type ByteProducts, computeWithBytes } from './byte-products.js';
import { int8File } from './int8-cache.js';
import { loadParameters, openParameters, type StoredParameters } from './parameters.js';
import { type FilePlace, type TensorSource } from './tensor-source.js';

/** What a model's matrices are while it decodes. */
export const DECODING_TYPES = ['fp32', 'int8'] as const;

/** One of {@link DECODING_TYPES}. */
export type DecodingType = (typeof DECODING_TYPES)[number];

/** A model's weights as constants of a graph: they lie in files or in memory, beside the graph. */
export interface GraphWeights {
  readonly config: Gpt2Config;
  readonly dtype: DecodingType;
  readonly files: ExternalFiles;
  /** Declares the parameters in a graph. */
  declare(graph: Graph): ParameterTensors;
  /** Rewrites the finished graph to compute with bytes, where the weights are. */
  finish(graph: Graph): void;
}

/** Types of numbers in safetensors files that a graph reads, and widens to 32 bits when it is loaded. */
const STORED_TYPES: ReadonlyMap<string, ElementType> = new Map([
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
]);

const IN_MEMORY = 'parameters';

/** Weights that lie in memory; they are read when a graph is loaded. */
export function memoryWeights(parameters: Parameters): GraphWeights {
  const { config, layout, buffer } = parameters;
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  return {
    config,
    dtype: 'fp32',
    files: { memory: new Map([[IN_MEMORY, bytes]]) },
    declare: (graph) =>
      tensorsByName(layout, ({ name, shape, offset, length }) => {
        const data = { location: IN_MEMORY, offset: offset * 4, length: length * 4 };
        return graph.external(name, 'float32', shape, data);
      }),
    finish: () => undefined,
  };
}

/**
 * The weights of a language model to decode with.
 *
 * `fp32` takes numbers from the model's own files where they lie there as a graph can read them: 32
 * bits are mapped and not copied, 16 bits widened one matrix at a time. Others are converted in
 * memory. `int8` takes 8-bit weights from the model's file if it is
 * one of them, and else quantises the model once; see {@link int8File}.
 *
 * @param path a folder or file of weights, in any format
 * @throws UserError where the file is damaged, or does not hold this model's tensors.
 */
export async function openGraphWeights(path: string, dtype: DecodingType): Promise<GraphWeights> {
  const stored = await openParameters(path);
  if (dtype === 'fp32') {
    return isStoredAs(stored, ({ dtype }) => STORED_TYPES.has(dtype))
      ? storedWeights(stored, dtype)
      : memoryWeights(await loadParameters(path));
  }
  const isByteModel = isStoredAs(stored, (source, parameter) =>
    isQuantizable(parameter) ? source.dtype === 'U8' : STORED_TYPES.has(source.dtype),
  );
  if (isByteModel) return storedWeights(stored, dtype);
  return storedWeights(await openParameters(await int8File(path)), dtype);
}

function isStoredAs(
  { config, sources }: StoredParameters,
  accepts: (source: TensorSource, parameter: Parameter) => boolean,
): boolean {
  return parameterLayout(config).every((parameter) => {
    const source = sources.get(parameter.name);
    return source?.place !== undefined && accepts(source, parameter);
  });
}

/** Weights in files that a graph can point into. */
async function storedWeights(
  { config, sources, files }: StoredParameters,
  dtype: DecodingType,
): Promise<GraphWeights> {
  // ONNX Runtime refuses files that links lead out of the folder for.
  const real = new Map<string, string>();
  for (const file of files) real.set(file, await realpath(file));
  const folders = new Set(Array.from(real.values(), dirname));
  const [folder = ''] = folders;
  if (folders.size > 1) {
    throw new UserError(
      `${files.join(', ')}: these weights lie in several folders; move them together.`,
    );
  }
  const external = (
    graph: Graph,
    name: string,
    type: ElementType,
    shape: readonly number[],
    place: FilePlace | undefined,
  ): Tensor => {
    if (place === undefined) throw new Error(`${name} lies in no file.`);
    const { path, offset, length } = place;
    return graph.external(name, type, shape, {
      location: basename(real.get(path) ?? path),
      offset,
      length,
    });
  };
  const matrices: ByteMatrices = new Map();
  const products = dtype === 'int8' ? await byteProducts() : 'unsigned';
  const declareOne = (
    graph: Graph,
    { name, shape }: Parameter,
    source: TensorSource | undefined,
  ): Tensor => {
    const { place, scalePlace } = source ?? {};
    if (scalePlace === undefined) {
      const type = STORED_TYPES.get(source?.dtype ?? '') ?? 'float32';
      const stored = external(graph, name, type, shape, place);
      return type === 'float32' ? stored : cast(stored, 'float32');
    }
    const bytes = external(graph, name, 'uint8', shape, place);
    const scale = external(graph, `${name}_scale`, 'float32', [scalePlace.length / 4], scalePlace);
    const signed = () => external(graph, `${name}_signed`, 'int8', shape, place);
    return standIn(graph, shape, { bytes, scale, signed }, matrices);
  };
  return {
    config,
    dtype,
    files: { folder },
    declare: (graph) =>
      tensorsByName(parameterLayout(config), (parameter) =>
        declareOne(graph, parameter, sources.get(parameter.name)),
      ),
    finish: (graph) => {
      computeWithBytes(graph, matrices, products);
    },
  };
}

/** What this processor multiplies bytes fastest with. */
async function byteProducts(): Promise<ByteProducts> {
  return (await addsSignedBytes()) ? 'signed' : 'unsigned';
}

/** The tensor that `declare` makes of each parameter, by its name. */
function tensorsByName(
  layout: readonly Parameter[],
  declare: (parameter: Parameter) => Tensor,
): ParameterTensors {
  const tensors = new Map(layout.map((parameter) => [parameter.name, declare(parameter)]));
  return (name) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`The model has no parameter ${name}.`);
    return tensor;
  };
}
