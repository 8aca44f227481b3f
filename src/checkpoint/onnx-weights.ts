import { type FileHandle } from 'node:fs/promises';
import { writeAll } from '../base/files.js';
import { cast, type ElementType, type Graph, type Tensor } from '../graph/index.js';
import { type Parameter, type Parameters, type ParameterTensors } from '../model/index.js';
import {
  type ByteMatrices,
  columnScales,
  hasRowScales,
  isQuantizable,
  quantize,
  rowScales,
  standIn,
} from './byte-matrices.js';
import { computeWithBytes } from './byte-products.js';
import { floatToHalf } from './floats.js';

/** What an exported graph's weights are stored as. */
export const PRECISIONS = ['fp32', 'fp16', 'int8'] as const;

/** One of {@link PRECISIONS}. */
export type Precision = (typeof PRECISIONS)[number];

/** External data that starts at multiples of a page can be mapped into memory. */
const PAGE = 4096;

/** A stretch of the file of weights, and how it is filled. */
interface Stretch {
  readonly offset: number;
  readonly write: (file: FileHandle) => Promise<void>;
}

/**
 * The parameters of a model as constants of a graph whose numbers lie in a file beside it.
 *
 * - `fp32`: as they are.
 * - `fp16`: matrices as halves, widened where the graph is loaded; it computes in 32 bits.
 * - `int8`: matrices as bytes with a scale for each output, multiplied as bytes with inputs that
 *   are quantised as the graph runs (ONNX's `DynamicQuantizeLinear`, `MatMulInteger`).
 */
export class OnnxWeights {
  readonly #parameters: Parameters;
  readonly #precision: Precision;
  readonly #location: string;
  readonly #stretches: Stretch[] = [];
  readonly #bytes: ByteMatrices = new Map();
  #size = 0;

  /** @param location the name of the file of weights, beside the `.onnx` file. */
  constructor(parameters: Parameters, precision: Precision, location: string) {
    this.#parameters = parameters;
    this.#precision = precision;
    this.#location = location;
  }

  /** Declares the parameters in `graph`. */
  declare(graph: Graph): ParameterTensors {
    const tensors = new Map(
      this.#parameters.layout.map((parameter) => [parameter.name, this.#tensor(graph, parameter)]),
    );
    return (name) => {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw new Error(`The model has no parameter ${name}.`);
      return tensor;
    };
  }

  /** Declares numbers besides the parameters, as they are. */
  declareNumbers(graph: Graph, name: string, shape: readonly number[], data: Float32Array): Tensor {
    return this.#store(graph, name, 'float32', shape, data.byteLength, (file) =>
      writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
    );
  }

  /** Rewrites the finished graph to compute with bytes, where the precision says so. */
  finish(graph: Graph): void {
    if (this.#precision === 'int8') computeWithBytes(graph, this.#bytes);
  }

  /** Writes the file of weights. */
  async write(file: FileHandle): Promise<void> {
    let position = 0;
    for (const { offset, write } of this.#stretches) {
      await writeAll(file, new Uint8Array(offset - position));
      await write(file);
      position = (await file.stat()).size;
    }
  }

  #tensor(graph: Graph, parameter: Parameter): Tensor {
    const { name, shape, length } = parameter;
    const data = this.#parameters.view(parameter);
    const isMatrix = shape.length === 2;
    if (isMatrix && this.#precision === 'fp16') {
      const halves = this.#store(graph, name, 'float16', shape, length * 2, (file) =>
        writeHalves(file, data),
      );
      return cast(halves, 'float32');
    }
    if (this.#precision === 'int8' && isQuantizable(parameter)) {
      return this.#byteMatrix(graph, parameter, data);
    }
    return this.declareNumbers(graph, name, shape, data);
  }

  /** The embedding has a scale for each token (row), other matrices for each output (column). */
  #byteMatrix(graph: Graph, { name, shape, length }: Parameter, data: Float32Array): Tensor {
    const [rows = 0, columns = 0] = shape;
    const byRow = hasRowScales(name);
    const scales = byRow ? rowScales(data, columns) : columnScales(data, columns);
    const bytes = this.#store(graph, `${name}_quantized`, 'uint8', shape, length, (file) =>
      writeAll(file, quantize(data, columns, scales, byRow)),
    );
    const scaleShape = [byRow ? rows : columns];
    const scale = this.#store(
      graph,
      `${name}_scale`,
      'float32',
      scaleShape,
      scales.byteLength,
      (file) => writeAll(file, new Uint8Array(scales.buffer)),
    );
    return standIn(graph, shape, { bytes, scale }, this.#bytes);
  }

  #store(
    graph: Graph,
    name: string,
    type: ElementType,
    shape: readonly number[],
    length: number,
    write: (file: FileHandle) => Promise<void>,
  ): Tensor {
    const offset = Math.ceil(this.#size / PAGE) * PAGE;
    this.#size = offset + length;
    this.#stretches.push({ offset, write });
    return graph.external(name, type, shape, { location: this.#location, offset, length });
  }
}

async function writeHalves(file: FileHandle, data: Float32Array): Promise<void> {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const halves = new Uint16Array(data.length);
  floatToHalf(bits, halves);
  await writeAll(file, new Uint8Array(halves.buffer));
}
