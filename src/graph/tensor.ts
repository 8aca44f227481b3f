/** The element types of tensors that our graphs use, with ONNX's number for each. */
export const ELEMENT_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
} as const;

/** The name of an element type. */
export type ElementType = keyof typeof ELEMENT_TYPES;

/**
 * One dimension of a shape: a number, or the name of a length that is known only when the graph
 * runs (`'batch'`, `'tokens'`). Two dimensions with the same name are the same length.
 */
export type Dimension = number | string;

/** A tensor's dimensions, outermost first; a scalar has none. */
export type Shape = readonly Dimension[];

/** What a tensor holds, apart from where it comes from. */
export interface TensorType {
  readonly type: ElementType;
  readonly shape: Shape;
}
