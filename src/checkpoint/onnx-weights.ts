import { type FileHandle } from 'node:fs/promises';
import { writeAll } from '../base/files.js';
import {
  cast,
  ELEMENT_TYPES,
  type ElementType,
  type Graph,
  int,
  type Node,
  type Tensor,
} from '../graph/index.js';
import {
  type Parameter,
  type Parameters,
  type ParameterTensors,
  POSITION_EMBEDDING,
  TOKEN_EMBEDDING,
} from '../model/index.js';
import { floatToHalf } from './floats.js';
import { onlyOutput } from './onnx-graph.js';

/** What an exported graph's weights are stored as. */
export const PRECISIONS = ['fp32', 'fp16', 'int8'] as const;

/** One of {@link PRECISIONS}. */
export type Precision = (typeof PRECISIONS)[number];

/** A byte in the middle of the range, which stands for 0 in 8-bit weights. */
const ZERO_POINT = 128;
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
  readonly #bytes = new Map<Tensor, ByteMatrix>();
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
    if (isMatrix && this.#precision === 'int8' && name !== POSITION_EMBEDDING) {
      return this.#byteMatrix(graph, parameter, data);
    }
    return this.declareNumbers(graph, name, shape, data);
  }

  /** The embedding has a scale for each token (row), other matrices for each output (column). */
  #byteMatrix(graph: Graph, { name, shape, length }: Parameter, data: Float32Array): Tensor {
    const [rows = 0, columns = 0] = shape;
    const byRow = name === TOKEN_EMBEDDING;
    const scales = byRow ? rowScales(data, columns) : columnScales(data, columns);
    const bytes = this.#store(graph, `${name}_quantized`, 'uint8', shape, length, (file) =>
      writeBytes(file, data, columns, (row, column) => scales[byRow ? row : column] ?? 1),
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
    // A stand-in for the matrix; computeWithBytes replaces everything that reads it.
    const standIn = onlyOutput(
      graph.node('DequantizeLinear', [bytes, scale], [{ type: 'float32', shape }]),
    );
    this.#bytes.set(standIn, { bytes, scale });
    return standIn;
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

/** The largest magnitude maps to 127 steps from the middle. */
function scaleOf(largest: number): number {
  return largest === 0 ? 1 : largest / 127;
}

function rowScales(data: Float32Array, columns: number): Float32Array {
  return Float32Array.from({ length: data.length / columns }, (_, row) => {
    let largest = 0;
    for (let index = row * columns; index < (row + 1) * columns; index++) {
      largest = Math.max(largest, Math.abs(data[index] ?? 0));
    }
    return scaleOf(largest);
  });
}

function columnScales(data: Float32Array, columns: number): Float32Array {
  const largest = new Float32Array(columns);
  for (let index = 0; index < data.length; index++) {
    const column = index % columns;
    largest[column] = Math.max(largest[column] ?? 0, Math.abs(data[index] ?? 0));
  }
  return largest.map(scaleOf);
}

async function writeBytes(
  file: FileHandle,
  data: Float32Array,
  columns: number,
  scaleAt: (row: number, column: number) => number,
): Promise<void> {
  const bytes = new Uint8Array(data.length);
  for (let index = 0; index < data.length; index++) {
    const scale = scaleAt(Math.floor(index / columns), index % columns);
    bytes[index] = ZERO_POINT + Math.round((data[index] ?? 0) / scale);
  }
  await writeAll(file, bytes);
}

/** A matrix as bytes; the number is `scale · (byte − 128)`. */
interface ByteMatrix {
  readonly bytes: Tensor;
  readonly scale: Tensor;
}

/** Replaces the reads of each stand-in: products by products of bytes, look-ups by look-ups. */
function computeWithBytes(graph: Graph, matrices: ReadonlyMap<Tensor, ByteMatrix>): void {
  const original = [...graph.nodes];
  const rewrite = new ByteRewrite(graph);
  // The graph appends nodes; what replaces a node must stand in its place.
  const ordered = graph.nodes.slice(original.length);
  for (const node of original) {
    const [first, second] = node.inputs;
    const looked = first && matrices.get(first);
    const multiplied = second && matrices.get(second);
    const end = graph.nodes.length;
    if (node.operator === 'Gather' && looked !== undefined) {
      rewrite.gather(node, looked);
      ordered.push(...graph.nodes.slice(end));
    } else if (node.operator === 'Gemm' && multiplied !== undefined) {
      rewrite.multiply(node, multiplied);
      ordered.push(...graph.nodes.slice(end));
    } else if (!node.outputs.some((output) => matrices.has(output))) {
      ordered.push(node);
    }
  }
  graph.nodes.splice(0, graph.nodes.length, ...ordered);
}

class ByteRewrite {
  readonly #graph: Graph;
  readonly #zero: Tensor;
  readonly #inputs = new Map<Tensor, readonly [Tensor, Tensor, Tensor]>();

  constructor(graph: Graph) {
    this.#graph = graph;
    const zero = graph.integers([ZERO_POINT]);
    const bytes = [{ type: 'uint8', shape: [1] }] as const;
    const byte = onlyOutput(graph.node('Cast', [zero], bytes, { to: int(ELEMENT_TYPES.uint8) }));
    this.#zero = onlyOutput(graph.node('Squeeze', [byte], [{ type: 'uint8', shape: [] }]));
  }

  /** `scale[ids] · (bytes[ids] − 128)` */
  gather(node: Node, { bytes, scale }: ByteMatrix): void {
    const [ids, output] = [node.inputs[1], node.outputs[0]];
    if (ids === undefined || output === undefined) throw new Error('Gather lacks an operand.');
    const rows = this.#float(this.#one('Gather', [bytes, ids], 'uint8', output.shape), output);
    const middle = this.#float(this.#zero, this.#zero);
    const centred = this.#one('Sub', [rows, middle], 'float32', output.shape);
    const scales = this.#one('Gather', [scale, ids], 'float32', ids.shape);
    const axis = this.#graph.integers([-1]);
    const column = this.#one('Unsqueeze', [scales, axis], 'float32', [...ids.shape, 1]);
    this.#last('Mul', [centred, column], node);
  }

  /** `x · matrix + bias`, with `x` as bytes too, quantised by the range of its values. */
  multiply(node: Node, { bytes, scale }: ByteMatrix): void {
    const [x, , bias] = node.inputs;
    const [output] = node.outputs;
    if (x === undefined || output === undefined) throw new Error('Gemm lacks an operand.');
    const [quantized, inputScale, inputZero] = this.#quantize(x);
    const transposed = node.attributes.transB?.value === 1;
    const matrix = transposed
      ? this.#one('Transpose', [bytes], 'uint8', [...bytes.shape].reverse())
      : bytes;
    const operands = [quantized, matrix, inputZero, this.#zero];
    const product = this.#one('MatMulInteger', operands, 'int32', output.shape);
    const scales = this.#one('Mul', [inputScale, scale], 'float32', scale.shape);
    const floats = this.#float(product, output);
    if (bias === undefined) {
      this.#last('Mul', [floats, scales], node);
    } else {
      const scaled = this.#one('Mul', [floats, scales], 'float32', output.shape);
      this.#last('Add', [scaled, bias], node);
    }
  }

  #quantize(x: Tensor): readonly [Tensor, Tensor, Tensor] {
    const known = this.#inputs.get(x);
    if (known !== undefined) return known;
    const [quantized, scale, zero] = this.#graph.node(
      'DynamicQuantizeLinear',
      [x],
      [
        { type: 'uint8', shape: x.shape },
        { type: 'float32', shape: [] },
        { type: 'uint8', shape: [] },
      ],
    );
    if (quantized === undefined || scale === undefined || zero === undefined) {
      throw new Error('DynamicQuantizeLinear has three outputs.');
    }
    this.#inputs.set(x, [quantized, scale, zero]);
    return [quantized, scale, zero];
  }

  #float(x: Tensor, like: Tensor): Tensor {
    return onlyOutput(
      this.#graph.node('Cast', [x], [{ type: 'float32', shape: like.shape }], {
        to: int(1),
      }),
    );
  }

  #one(
    operator: string,
    inputs: readonly Tensor[],
    type: ElementType,
    shape: Tensor['shape'],
  ): Tensor {
    return onlyOutput(this.#graph.node(operator, inputs, [{ type, shape }]));
  }

  /** The node that computes what `replaced` computed. */
  #last(operator: string, inputs: readonly Tensor[], replaced: Node): void {
    const { outputs } = replaced;
    this.#graph.nodes.push({ operator, domain: '', inputs, outputs, attributes: {} });
  }
}
