import { type Attributes, int } from './attributes.js';
import { formatShape, ShapeError } from './shapes.js';
import { ELEMENT_TYPES, type ElementType, type Shape, type TensorType } from './tensor.js';

/**
 * A value in a graph: an input, a constant or what a node computes. It holds no numbers; those
 * exist only while the graph runs.
 */
export class Tensor implements TensorType {
  readonly graph: Graph;
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;

  constructor(graph: Graph, name: string, type: ElementType, shape: Shape) {
    this.graph = graph;
    this.name = name;
    this.type = type;
    this.shape = shape;
  }

  /** The number of dimensions. */
  get rank(): number {
    return this.shape.length;
  }
}

/** A node of the ONNX graph: one call of an operator. */
export interface Node {
  readonly operator: string;
  /** The operator's domain: empty for standard ONNX, else a name such as `com.microsoft`. */
  readonly domain: string;
  /** An optional operand that is left out is undefined. */
  readonly inputs: readonly (Tensor | undefined)[];
  readonly outputs: readonly Tensor[];
  readonly attributes: Attributes;
}

/** A constant whose bytes are in the graph, or in a file beside it. */
export interface Initializer {
  readonly tensor: Tensor;
  readonly data: Uint8Array | ExternalData;
}

/** A stretch of bytes of a file, given relative to the folder of the `.onnx` file. */
export interface ExternalData {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * One differentiable step: the unit that gradient rules are written for. It may stand for one node
 * or for several; `saved` holds what the rule wants to see again of its inside.
 */
export interface Operation {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly options: OperationOptions;
  readonly saved: readonly Tensor[];
}

/** What gradient rules need to know of an operation besides its tensors. */
export interface OperationOptions {
  readonly axis?: number;
  readonly axes?: readonly number[];
  readonly order?: readonly number[];
  readonly ratio?: number;
  readonly alpha?: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** The domain of ONNX Runtime's own operators. */
export const CONTRIBUTED = 'com.microsoft';

/**
 * An ONNX graph under construction. Inputs and constants are asked of the graph; everything else
 * is made by the functions in `operations/`, which check shapes as they add nodes.
 */
export class Graph {
  /**
   * Whether to use operators that only ONNX Runtime has and only its CPU provider runs fast
   * (`FusedMatMul`, `FastGelu`); without them, the same graph is built of standard operators.
   */
  readonly fused: boolean;
  readonly inputs: Tensor[] = [];
  readonly outputs: Tensor[] = [];
  readonly initializers: Initializer[] = [];
  readonly nodes: Node[] = [];
  readonly operations: Operation[] = [];
  readonly #constants = new Map<string, Tensor>();
  readonly #exported = new Map<Tensor, string>();
  readonly #names = new Set<string>();
  #nesting = 0;

  constructor({ fused = true }: { readonly fused?: boolean } = {}) {
    this.fused = fused;
  }

  /** Declares an input, to be fed at every run. */
  input(name: string, type: ElementType, shape: Shape): Tensor {
    const tensor = this.#tensor(name, type, shape);
    this.inputs.push(tensor);
    return tensor;
  }

  /** A constant that lies in a file beside the graph, such as a checkpoint's weights. */
  external(name: string, type: ElementType, shape: Shape, data: ExternalData): Tensor {
    const tensor = this.#tensor(name, type, shape);
    this.initializers.push({ tensor, data });
    return tensor;
  }

  /**
   * A scalar float constant. In half precision it is a cast of the one in single precision, which
   * ONNX Runtime carries out when it loads the graph.
   */
  scalar(value: number, type: ElementType = 'float32'): Tensor {
    const constant = this.#constant('float32', [], Float32Array.of(value));
    if (type === 'float32') return constant;
    const key = `${constant.name} as ${type}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const [converted] = this.node('Cast', [constant], [{ type, shape: [] }], {
      to: int(ELEMENT_TYPES[type]),
    });
    if (converted === undefined) throw new Error('A node of one output made none.');
    this.#constants.set(key, converted);
    return converted;
  }

  /** A scalar whole number of 32 bits. */
  integer(value: number): Tensor {
    return this.#constant('int32', [], Int32Array.of(value));
  }

  /** A list of numbers. */
  floats(values: Float32Array): Tensor {
    return this.#constant('float32', [values.length], values);
  }

  /** A tensor of zeros. */
  zeros(shape: readonly number[]): Tensor {
    const length = shape.reduce((product, dimension) => product * dimension, 1);
    return this.#constant('float32', shape, new Float32Array(length));
  }

  /** A list of whole numbers, as shapes and axes are given to operators. */
  integers(values: readonly number[]): Tensor {
    return this.#constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A scalar truth value. */
  boolean(value: boolean): Tensor {
    return this.#constant('bool', [], Uint8Array.of(Number(value)));
  }

  /**
   * Declares `tensor` an output under `name`. The node that computes it writes there directly, so
   * that it may share its memory with an input at run time.
   */
  output(name: string, tensor: Tensor): void {
    const computed = this.nodes.some((node) => node.outputs.includes(tensor));
    const source = computed && !this.#exported.has(tensor) ? tensor : this.#copy(tensor);
    this.#claim(name);
    this.#exported.set(source, name);
    this.outputs.push(source);
  }

  /** The name of `tensor` in the serialised graph. */
  nameOf(tensor: Tensor): string {
    return this.#exported.get(tensor) ?? tensor.name;
  }

  /**
   * Adds a node and returns its outputs, one for each type and shape given. This is the ground
   * floor: it checks nothing about the operator. Differentiable operations wrap it in
   * {@link Graph.operation}.
   */
  node(
    operator: string,
    inputs: readonly (Tensor | undefined)[],
    outputs: readonly TensorType[],
    attributes: Attributes = {},
    domain = '',
  ): Tensor[] {
    for (const input of inputs) {
      if (input !== undefined && input.graph !== this) {
        throw new ShapeError(operator, [input], `${input.name} belongs to another graph`);
      }
    }
    const tensors = outputs.map(({ type, shape }, position) =>
      this.#tensor(
        `${operator}_${this.nodes.length}${position === 0 ? '' : `_${position}`}`,
        type,
        shape,
      ),
    );
    this.nodes.push({ operator, domain, inputs, outputs: tensors, attributes });
    return tensors;
  }

  /**
   * Records what `build` adds as one differentiable operation. Operations recorded inside `build`
   * are its private matter: the gradient rule called `name` stands for all of them.
   */
  operation(
    name: string,
    inputs: readonly Tensor[],
    options: OperationOptions,
    build: () => { readonly outputs: readonly Tensor[]; readonly saved?: readonly Tensor[] },
  ): readonly Tensor[] {
    this.#nesting += 1;
    const { outputs, saved = [] } = build();
    this.#nesting -= 1;
    if (this.#nesting === 0) this.operations.push({ name, inputs, outputs, options, saved });
    return outputs;
  }

  #constant(
    type: ElementType,
    shape: Shape,
    values: Float32Array | Int32Array | BigInt64Array | Uint8Array,
  ): Tensor {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    // By its bytes, because −0 and 0 read alike as text.
    const key = `${type}${formatShape(shape)}${data.join()}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const tensor = this.#tensor(`constant_${this.#constants.size}`, type, shape);
    this.initializers.push({ tensor, data });
    this.#constants.set(key, tensor);
    return tensor;
  }

  #copy(tensor: Tensor): Tensor {
    const [copy] = this.node('Identity', [tensor], [tensor]);
    if (copy === undefined) throw new Error('A node of one output made none.');
    return copy;
  }

  #tensor(name: string, type: ElementType, shape: Shape): Tensor {
    this.#claim(name);
    return new Tensor(this, name, type, shape);
  }

  #claim(name: string): void {
    if (this.#names.has(name)) throw new Error(`The graph already has a tensor named ${name}.`);
    this.#names.add(name);
  }
}
