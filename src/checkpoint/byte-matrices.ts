import {
  ELEMENT_TYPES,
  type ElementType,
  type Graph,
  int,
  type Node,
  type Tensor,
} from '../graph/index.js';
import { type Parameter, POSITION_EMBEDDING, TOKEN_EMBEDDING } from '../model/index.js';
import { onlyOutput } from './onnx-graph.js';

/** A byte in the middle of the range, which stands for 0 in 8-bit weights. */
const ZERO_POINT = 128;

/** A matrix as bytes; the number is `scale · (byte − 128)`. */
export interface ByteMatrix {
  readonly bytes: Tensor;
  readonly scale: Tensor;
}

/** Matrices of bytes, each under the tensor that stands for its numbers in the graph. */
export type ByteMatrices = Map<Tensor, ByteMatrix>;

/** The largest magnitude maps to 127 steps from the middle. */
function scaleOf(largest: number): number {
  return largest === 0 ? 1 : largest / 127;
}

/** A scale for each row of a matrix. */
export function rowScales(data: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const largest = new Float32Array(data.length / columns);
  for (let row = 0; row < largest.length; row++) {
    let most = 0;
    for (let index = row * columns; index < (row + 1) * columns; index++) {
      most = Math.max(most, Math.abs(data[index] ?? 0));
    }
    largest[row] = most;
  }
  return largest.map(scaleOf);
}

/** A scale for each column of a matrix. */
export function columnScales(data: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const largest = new Float32Array(columns);
  for (let start = 0; start < data.length; start += columns) {
    for (let column = 0; column < columns; column++) {
      const size = Math.abs(data[start + column] ?? 0);
      if (size > (largest[column] ?? 0)) largest[column] = size;
    }
  }
  return largest.map(scaleOf);
}

/** The bytes of a matrix: `round(number / scale) + 128`, with a scale for each row or column. */
export function quantize(
  data: Float32Array,
  columns: number,
  scales: Float32Array,
  byRow: boolean,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.length);
  for (let start = 0; start < data.length; start += columns) {
    const scale = scales[start / columns] ?? 1;
    for (let column = 0; column < columns; column++) {
      const number = data[start + column] ?? 0;
      const steps = number / (byRow ? scale : (scales[column] ?? 1));
      bytes[start + column] = ZERO_POINT + Math.round(steps);
    }
  }
  return bytes;
}

/** The numbers of consecutive bytes of a matrix, from the one numbered `start` on. */
export function dequantize(
  bytes: Uint8Array,
  start: number,
  columns: number,
  scales: Float32Array,
  byRow: boolean,
  target: Float32Array,
): void {
  for (let index = 0; index < bytes.length; index++) {
    const place = start + index;
    const scale = scales[byRow ? Math.floor(place / columns) : place % columns] ?? 1;
    target[index] = ((bytes[index] ?? 0) - ZERO_POINT) * scale;
  }
}

/** Whether a parameter is stored as bytes with a scale for each row (token), not each column. */
export function hasRowScales(name: string): boolean {
  return name === TOKEN_EMBEDDING;
}

/** Whether a parameter is a matrix to multiply by, which can be bytes. */
export function isQuantizable({ name, shape }: Pick<Parameter, 'name' | 'shape'>): boolean {
  return shape.length === 2 && name !== POSITION_EMBEDDING;
}

/**
 * A tensor that stands for a matrix of bytes in a graph, until {@link computeWithBytes} replaces
 * everything that reads it.
 */
export function standIn(
  graph: Graph,
  shape: readonly number[],
  matrix: ByteMatrix,
  matrices: ByteMatrices,
): Tensor {
  const tensor = onlyOutput(
    graph.node('DequantizeLinear', [matrix.bytes, matrix.scale], [{ type: 'float32', shape }]),
  );
  matrices.set(tensor, matrix);
  return tensor;
}

/** Replaces the reads of each stand-in: products by products of bytes, look-ups by look-ups. */
export function computeWithBytes(graph: Graph, matrices: ReadonlyMap<Tensor, ByteMatrix>): void {
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
