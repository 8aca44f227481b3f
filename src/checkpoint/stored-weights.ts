import { cast, type ElementType, type Graph, type Tensor } from '../graph/index.js';
import {
  type Gpt2Config,
  type Parameter,
  parameterLayout,
  Parameters,
  parameterShapes,
  type ParameterTensors,
} from '../model/index.js';
import type { ExternalFiles } from '../runtime/portable.js';
import { type ByteMatrices, isQuantizable, standIn } from './byte-matrices.js';
import { type ByteProducts, computeWithBytes } from './byte-products.js';
import { memorySource } from './byte-source.js';
import { safetensorsFrom } from './safetensors-format.js';
import { sanitize } from './sanitize.js';
import { withScales } from './scales.js';
import type { FilePlace, TensorSource } from './tensor-source.js';

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

/** A model's parameters by `transformers`' names, where they are stored. */
export type ParameterSources = ReadonlyMap<string, TensorSource>;

/**
 * Whether a graph can point at all of a model's weights where they lie, as this type.
 *
 * @param numbers the types of what is not in 8 bits; 32 bits, and halves, which are widened
 */
export function areStoredAs(
  config: Gpt2Config,
  sources: ParameterSources,
  dtype: DecodingType,
  numbers: readonly string[] = [...STORED_TYPES.keys()],
): boolean {
  return parameterLayout(config).every((parameter) => {
    const source = sources.get(parameter.name);
    const types = dtype === 'int8' && isQuantizable(parameter) ? ['U8'] : numbers;
    return source?.place !== undefined && types.includes(source.dtype);
  });
}

/**
 * Weights that a graph points at where they lie; see {@link areStoredAs}.
 *
 * @param locate the name under which `files` has the file of a path
 * @param products what the processor multiplies bytes fastest with
 */
export function storedWeights(
  config: Gpt2Config,
  sources: ParameterSources,
  dtype: DecodingType,
  files: ExternalFiles,
  locate: (path: string) => string,
  products: ByteProducts,
): GraphWeights {
  const external = (
    graph: Graph,
    name: string,
    type: ElementType,
    shape: readonly number[],
    place: FilePlace | undefined,
  ): Tensor => {
    if (place === undefined) throw new Error(`${name} lies in no file.`);
    const { path, offset, length } = place;
    return graph.external(name, type, shape, { location: locate(path), offset, length });
  };
  const matrices: ByteMatrices = new Map();
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
    files,
    declare: (graph) =>
      tensorsByName(parameterLayout(config), (parameter) =>
        declareOne(graph, parameter, sources.get(parameter.name)),
      ),
    finish: (graph) => {
      computeWithBytes(graph, matrices, products);
    },
  };
}

/**
 * The weights of a language model whose file is in memory.
 *
 * @param file the bytes of a safetensors file: 32-bit numbers or our 8-bit ones, which are used where
 *   they lie, or halves
 * @param name what messages call it
 * @throws UserError where it is damaged, or does not hold this model's tensors.
 */
export async function weightsInMemory(
  config: Gpt2Config,
  file: Uint8Array,
  name: string,
): Promise<GraphWeights> {
  const tensors = withScales(await safetensorsFrom(memorySource(name, file)));
  const sources = await sanitize(tensors, parameterShapes(config), name);
  const dtype = DECODING_TYPES.find((type) => areStoredAs(config, sources, type, ['F32']));
  if (dtype !== undefined) {
    const files = { memory: new Map([[name, file]]) };
    return storedWeights(config, sources, dtype, files, () => name, 'unsigned');
  }
  const parameters = new Parameters(config);
  for (const parameter of parameters.layout) {
    await sources.get(parameter.name)?.readInto(parameters.view(parameter));
  }
  return memoryWeights(parameters);
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
