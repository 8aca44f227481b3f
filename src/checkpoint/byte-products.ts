import {
  ELEMENT_TYPES,
  type ElementType,
  type Graph,
  int,
  type Node,
  type Tensor,
} from '../graph/index.js';
import { type ByteMatrices, type ByteMatrix, ZERO_POINT } from './byte-matrices.js';
import { onlyOutput } from './onnx-graph.js';

/**
 * How matrices of bytes are multiplied by:
 *
 * - `unsigned`: the input becomes bytes by the range of all its values, and the weights are taken as
 *   they lie, from 0 to 255. Standard operators that every processor computes exactly.
 * - `signed`: the same sums of weights from −127 to 127, which processors with instructions for it
 *   (VNNI) compute in half the time; others may cut sums off.
 */
export type ByteProducts = 'unsigned' | 'signed';

/** Replaces the reads of each stand-in: products by products of bytes, look-ups by look-ups. */
export function computeWithBytes(
  graph: Graph,
  matrices: ByteMatrices,
  products: ByteProducts = 'unsigned',
): void {
  const original = [...graph.nodes];
  const rewrite = new ByteRewrite(graph, products);
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
  readonly #products: ByteProducts;
  readonly #zero: Tensor;
  #signedZero: Tensor | undefined;
  #highestBit: Tensor | undefined;
  readonly #inputs = new Map<Tensor, readonly [Tensor, Tensor, Tensor]>();

  constructor(graph: Graph, products: ByteProducts) {
    this.#graph = graph;
    this.#products = products;
    this.#zero = this.#byte(ZERO_POINT, 'uint8');
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

  /** `x · matrix + bias`, with `x` as bytes too. */
  multiply(node: Node, matrix: ByteMatrix): void {
    const [x, , bias] = node.inputs;
    const [output] = node.outputs;
    if (x === undefined || output === undefined) throw new Error('Gemm lacks an operand.');
    const transposed = node.attributes.transB?.value === 1;
    const { scale } = matrix;
    const [quantized, inputScale, inputZero] = this.#quantize(x);
    const operands = [quantized, ...this.#factor(matrix, transposed, inputZero)];
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

  /** A matrix of bytes, the zero of the input and its own, as a product takes them. */
  #factor({ bytes, signed }: ByteMatrix, transposed: boolean, inputZero: Tensor): Tensor[] {
    if (this.#products !== 'signed' || signed === undefined) {
      return [this.#turned(bytes, transposed), inputZero, this.#zero];
    }
    // What is stored as 128 more has its highest bit turned over: read with a sign, turned back.
    this.#highestBit ??= this.#byte(-ZERO_POINT, 'int8');
    this.#signedZero ??= this.#byte(0, 'int8');
    const stored = signed();
    const numbers = this.#one('BitwiseXor', [stored, this.#highestBit], 'int8', stored.shape);
    return [this.#turned(numbers, transposed), inputZero, this.#signedZero];
  }

  #turned(matrix: Tensor, transposed: boolean): Tensor {
    return transposed
      ? this.#one('Transpose', [matrix], matrix.type, [...matrix.shape].reverse())
      : matrix;
  }

  #byte(value: number, type: 'uint8' | 'int8'): Tensor {
    const byte = this.#cast(this.#graph.integers([value]), type, [1]);
    return this.#one('Squeeze', [byte], type, []);
  }

  #cast(x: Tensor, type: ElementType, shape: Tensor['shape']): Tensor {
    const to = int(ELEMENT_TYPES[type]);
    return onlyOutput(this.#graph.node('Cast', [x], [{ type, shape }], { to }));
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
    return this.#cast(x, 'float32', like.shape);
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
