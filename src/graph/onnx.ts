import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Attribute } from './attributes.js';
import { CONTRIBUTED, type Graph, type Initializer, type Node, type Tensor } from './graph.js';
import { type Dimension, ELEMENT_TYPES } from './tensor.js';

// The numbers in this file are field and enumeration numbers of onnx.proto (ONNX 1.16, IR 10).
const IR_VERSION = 10;

/** The version of the standard operator set that our graphs are written in. */
const OPERATOR_SET = 20;

/** `TensorProto.DataLocation.EXTERNAL`. */
const EXTERNAL = 1;

/** A protocol-buffers message under construction: each method appends one field. */
class Message {
  readonly #writer = new BinaryWriter();

  text(field: number, value: string): this {
    this.#writer.tag(field, WireType.LengthDelimited).string(value);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#writer.tag(field, WireType.LengthDelimited).bytes(value);
    return this;
  }

  integer(field: number, value: number): this {
    this.#writer.tag(field, WireType.Varint).int64(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#writer.tag(field, WireType.Bit32).float(value);
    return this;
  }

  message(field: number, value: Message): this {
    return this.bytes(field, value.finish());
  }

  each<T>(values: Iterable<T>, append: (message: this, value: T) => unknown): this {
    for (const value of values) append(this, value);
    return this;
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}

/** How {@link serialize} writes a graph. */
export interface SerializeOptions {
  /**
   * The name of a further output, before all others, that is an empty sequence and not a tensor.
   * A `Session` that only writes in place asks for it.
   */
  readonly emptySequence?: string;
}

/** The graph as the bytes of an `.onnx` file (`ModelProto`). */
export function serialize(graph: Graph, { emptySequence }: SerializeOptions = {}): Uint8Array {
  const body = new Message();
  if (emptySequence !== undefined) appendEmptySequence(body, emptySequence);
  return new Message()
    .integer(1, IR_VERSION)
    .text(2, 'dialogpt')
    .message(7, appendGraph(body, graph))
    .message(8, new Message().text(1, '').integer(2, OPERATOR_SET))
    .message(8, new Message().text(1, CONTRIBUTED).integer(2, 1))
    .finish();
}

/** Appends a node that makes an empty sequence of floats, and the output that it becomes. */
function appendEmptySequence(message: Message, name: string): void {
  const element = new Message().message(1, new Message().integer(1, ELEMENT_TYPES.float32));
  const sequence = new Message().message(4, new Message().message(1, element));
  message
    .message(1, new Message().text(2, name).text(3, name).text(4, 'SequenceEmpty'))
    .message(12, new Message().text(1, name).message(2, sequence));
}

function appendGraph(message: Message, graph: Graph): Message {
  return message
    .each(neededNodes(graph), (message, node) => message.message(1, nodeMessage(graph, node)))
    .text(2, 'dialogpt')
    .each(graph.initializers, (message, value) => message.message(5, initializerMessage(value)))
    .each(graph.inputs, (message, tensor) => message.message(11, valueInfoMessage(graph, tensor)))
    .each(graph.outputs, (message, tensor) => message.message(12, valueInfoMessage(graph, tensor)));
}

/** The nodes that outputs depend on; ONNX Runtime would run the others too. */
function neededNodes(graph: Graph): readonly Node[] {
  const needed = new Set<Tensor | undefined>(graph.outputs);
  const nodes = graph.nodes.toReversed().filter(({ inputs, outputs }) => {
    if (!outputs.some((output) => needed.has(output))) return false;
    for (const input of inputs) needed.add(input);
    return true;
  });
  return nodes.reverse();
}

function nodeMessage(graph: Graph, node: Node): Message {
  return new Message()
    .each(node.inputs, (message, tensor) =>
      message.text(1, tensor === undefined ? '' : graph.nameOf(tensor)),
    )
    .each(node.outputs, (message, tensor) => message.text(2, graph.nameOf(tensor)))
    .text(3, node.outputs[0]?.name ?? '')
    .text(4, node.operator)
    .each(Object.entries(node.attributes), (message, [name, attribute]) =>
      message.message(5, attributeMessage(name, attribute)),
    )
    .text(7, node.domain);
}

function attributeMessage(name: string, attribute: Attribute): Message {
  const message = new Message().text(1, name);
  switch (attribute.type) {
    case 'float':
      return message.float(2, attribute.value).integer(20, 1);
    case 'int':
      return message.integer(3, attribute.value).integer(20, 2);
    case 'text':
      return message.bytes(4, new TextEncoder().encode(attribute.value)).integer(20, 3);
    case 'ints':
      return message.each(attribute.value, (list, value) => list.integer(8, value)).integer(20, 7);
  }
}

function initializerMessage({ tensor, data }: Initializer): Message {
  const message = new Message()
    .each(tensor.shape, (shape, dimension) => shape.integer(1, fixed(tensor, dimension)))
    .integer(2, ELEMENT_TYPES[tensor.type])
    .text(8, tensor.name);
  if (data instanceof Uint8Array) return message.bytes(9, data);
  const entries = { location: data.location, offset: data.offset, length: data.length };
  return message
    .each(Object.entries(entries), (list, [key, value]) =>
      list.message(13, new Message().text(1, key).text(2, String(value))),
    )
    .integer(14, EXTERNAL);
}

function fixed(tensor: Tensor, dimension: Dimension): number {
  if (typeof dimension === 'number') return dimension;
  throw new Error(`The constant ${tensor.name} cannot have the open dimension ${dimension}.`);
}

function valueInfoMessage(graph: Graph, tensor: Tensor): Message {
  const shape = new Message().each(tensor.shape, (message, dimension) =>
    message.message(
      1,
      typeof dimension === 'number'
        ? new Message().integer(1, dimension)
        : new Message().text(2, dimension),
    ),
  );
  const tensorType = new Message().integer(1, ELEMENT_TYPES[tensor.type]).message(2, shape);
  return new Message()
    .text(1, graph.nameOf(tensor))
    .message(2, new Message().message(1, tensorType));
}
