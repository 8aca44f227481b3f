import { float, int, ints } from '../attributes.js';
import { CONTRIBUTED, type Tensor } from '../graph.js';
import { dimensionAt, sameShape, ShapeError } from '../shapes.js';
import type { Dimension } from '../tensor.js';
import { only, requireFloat, requireRank, requireSameType } from './checks.js';
import { add, scale } from './elementwise.js';

/** How {@link matmul} takes its operands. */
export interface MatmulOptions {
  /** Multiply the transpose of `a`'s last two dimensions. */
  readonly transposeA?: boolean;
  /** Multiply by the transpose of `b`'s last two dimensions. */
  readonly transposeB?: boolean;
  /** A number to scale the product by. */
  readonly alpha?: number;
}

/**
 * The matrix product over the last two dimensions: `alpha · op(a) op(b)`, where the dimensions
 * before them are the same in both. 2-D products become `Gemm`.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, alpha = 1 } = options;
  requireFloat('MatMul', a);
  requireSameType('MatMul', a, b);
  if (Math.min(a.rank, b.rank) < 2) {
    throw new ShapeError('MatMul', [a, b], 'needs two dimensions or more');
  }
  if (!sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2))) {
    throw new ShapeError('MatMul', [a, b], 'the dimensions before the last two differ');
  }
  const [rows, inner] = lastTwo(a, transposeA);
  const [innerB, columns] = lastTwo(b, transposeB);
  if (inner !== innerB) {
    throw new ShapeError('MatMul', [a, b], `the inner dimensions ${inner} and ${innerB} differ`);
  }
  const { graph, type } = a;
  const output = { type, shape: [...a.shape.slice(0, -2), rows, columns] };
  const flags = { transA: int(transposeA), transB: int(transposeB), alpha: float(alpha) };
  return only(
    graph.operation('MatMul', [a, b], { transposeA, transposeB, alpha }, () => {
      if (a.rank === 2) return { outputs: graph.node('Gemm', [a, b], [output], flags) };
      if (graph.fused) {
        return { outputs: graph.node('FusedMatMul', [a, b], [output], flags, CONTRIBUTED) };
      }
      const left = transposeA ? transposeLastTwo(a) : a;
      const right = transposeB ? transposeLastTwo(b) : b;
      const product = only(graph.node('MatMul', [left, right], [output]));
      return { outputs: [alpha === 1 ? product : scale(product, alpha)] };
    }),
  );
}

/**
 * A linear layer: `x weight + bias`.
 *
 * @param x `[…, in]`
 * @param weight `[in, out]`, as GPT-2 stores its `Conv1D` weights.
 * @param bias `[out]`
 * @returns `[…, out]`
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  requireFloat('Linear', x);
  requireRank('Linear', weight, 2);
  const [inner, width] = lastTwo(weight, false);
  if (dimensionAt('Linear', x, -1) !== inner || !sameShape(bias.shape, [width])) {
    throw new ShapeError('Linear', [x, weight, bias], 'the operands do not fit each other');
  }
  const { graph, type } = x;
  const output = { type, shape: [...x.shape.slice(0, -1), width] };
  return only(
    graph.operation('Linear', [x, weight, bias], {}, () => {
      if (x.rank === 2) return { outputs: graph.node('Gemm', [x, weight, bias], [output]) };
      return { outputs: [add(only(graph.node('MatMul', [x, weight], [output])), bias)] };
    }),
  );
}

/** `x` with its last two dimensions exchanged. */
function transposeLastTwo(x: Tensor): Tensor {
  const order = x.shape.map((_, axis) => axis);
  const permutation = [...order.slice(0, -2), x.rank - 1, x.rank - 2];
  const [rows, columns] = lastTwo(x, true);
  const output = { type: x.type, shape: [...x.shape.slice(0, -2), rows, columns] };
  return only(x.graph.node('Transpose', [x], [output], { perm: ints(permutation) }));
}

function lastTwo(x: Tensor, transposed: boolean): readonly [Dimension, Dimension] {
  const rows = dimensionAt('MatMul', x, -2);
  const columns = dimensionAt('MatMul', x, -1);
  return transposed ? [columns, rows] : [rows, columns];
}
