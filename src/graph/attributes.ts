/** An attribute of an ONNX node; made with {@link int}, {@link float}, {@link ints} or {@link text}. */
export type Attribute =
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'text'; readonly value: string };

/** The attributes of a node, by name. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** A whole-number attribute; `true` and `false` are 1 and 0. */
export function int(value: number | boolean): Attribute {
  return { type: 'int', value: Number(value) };
}

/** A 32-bit floating-point attribute. */
export function float(value: number): Attribute {
  return { type: 'float', value };
}

/** A list of whole numbers. */
export function ints(value: readonly number[]): Attribute {
  return { type: 'ints', value };
}

/** A text attribute. */
export function text(value: string): Attribute {
  return { type: 'text', value };
}
