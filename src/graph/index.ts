export { type Attribute, type Attributes, float, int, ints, text } from './attributes.js';
export { differentiate, type DifferentiateOptions, type Gradient } from './differentiate.js';
export { type GradientRule, gradientRules, RowGradient } from './gradients.js';
export {
  CONTRIBUTED,
  type ExternalData,
  Graph,
  type Initializer,
  type Node,
  type Operation,
  type OperationOptions,
  Tensor,
} from './graph.js';
export * from './operations/elementwise.js';
export * from './operations/matrix.js';
export * from './operations/network.js';
export * from './operations/reduction.js';
export * from './operations/structure.js';
export { serialize, type SerializeOptions } from './onnx.js';
export { formatShape, ShapeError } from './shapes.js';
export {
  type Dimension,
  ELEMENT_TYPES,
  type ElementType,
  type Shape,
  type TensorType,
} from './tensor.js';
