import { int, text } from '../attributes.js';
import { CONTRIBUTED, type Tensor } from '../graph.js';
import { broadcastShapes, sameShape, ShapeError } from '../shapes.js';
import { ELEMENT_TYPES, type ElementType } from '../tensor.js';
import { only, requireFloat, requireSameType } from './checks.js';

/** `a + b`, broadcast. */
export function add(a: Tensor, b: Tensor): Tensor {
  return binary('Add', a, b);
}

/** `a − b`, broadcast. */
export function subtract(a: Tensor, b: Tensor): Tensor {
  return binary('Sub', a, b);
}

/** `a · b`, element by element, broadcast. */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return binary('Mul', a, b);
}

/** `a / b`, element by element, broadcast. */
export function divide(a: Tensor, b: Tensor): Tensor {
  return binary('Div', a, b);
}

/** `x · factor` for a plain number. */
export function scale(x: Tensor, factor: number): Tensor {
  return multiply(x, x.graph.scalar(factor, x.type));
}

/** `−x`. */
export function negate(x: Tensor): Tensor {
  return unary('Neg', x);
}

/** `eˣ`. */
export function exponential(x: Tensor): Tensor {
  return unary('Exp', x);
}

/** The natural logarithm. */
export function logarithm(x: Tensor): Tensor {
  return unary('Log', x);
}

/** The square root. */
export function squareRoot(x: Tensor): Tensor {
  return unary('Sqrt', x);
}

/** The hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return unary('Tanh', x);
}

/** `1 / (1 + e⁻ˣ)`. */
export function sigmoid(x: Tensor): Tensor {
  return unary('Sigmoid', x);
}

/**
 * The Gaussian error linear unit in its tanh form, as GPT-2 uses it:
 * `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks and Gimpel 2016, section 2).
 */
export function gelu(x: Tensor): Tensor {
  requireFloat('Gelu', x);
  const { graph } = x;
  return only(
    graph.operation('Gelu', [x], {}, () => ({
      outputs: graph.fused
        ? graph.node('FastGelu', [x], [x], {}, CONTRIBUTED)
        : graph.node('Gelu', [x], [x], { approximate: text('tanh') }),
    })),
  );
}

/** `condition ? a : b`, element by element; all three broadcast. */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  if (condition.type !== 'bool') throw new ShapeError('Where', [condition], 'needs a bool');
  requireSameType('Where', a, b);
  const { graph, type } = a;
  const shape = broadcastShapes('Where', condition, a);
  if (!sameShape(shape, broadcastShapes('Where', condition, b))) {
    throw new ShapeError('Where', [condition, a, b], 'the two choices differ in shape');
  }
  return only(
    graph.operation('Where', [condition, a, b], {}, () => ({
      outputs: graph.node('Where', [condition, a, b], [{ type, shape }]),
    })),
  );
}

/** The numbers of `x` as another element type; `x` itself if it has that type. */
export function cast(x: Tensor, type: ElementType): Tensor {
  if (x.type === type) return x;
  return only(
    x.graph.operation('Cast', [x], {}, () => ({
      outputs: x.graph.node('Cast', [x], [{ type, shape: x.shape }], {
        to: int(ELEMENT_TYPES[type]),
      }),
    })),
  );
}

function unary(name: string, x: Tensor): Tensor {
  requireFloat(name, x);
  return only(x.graph.operation(name, [x], {}, () => ({ outputs: x.graph.node(name, [x], [x]) })));
}

function binary(name: string, a: Tensor, b: Tensor): Tensor {
  requireSameType(name, a, b);
  const output = { type: a.type, shape: broadcastShapes(name, a, b) };
  return only(
    a.graph.operation(name, [a, b], {}, () => ({
      outputs: a.graph.node(name, [a, b], [output]),
    })),
  );
}
