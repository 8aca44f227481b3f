import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { at } from '../base/arrays.js';

/** Newton's method has found the minimum when no weight moves further than that. */
const TOLERANCE = 1e-6;
/** It is there after some six steps; more are a sign of numbers that are none. */
const MOST_STEPS = 50;

/** A linear model of the log-odds: `weights · x + bias`. */
export interface LinearModel {
  readonly weights: Float64Array;
  readonly bias: number;
}

/**
 * Logistic regression with a ridge, by Newton's method (iteratively reweighted least squares): the
 * weights that make the sum of the negative log-likelihoods and `ridge / 2 · |weights|²` smallest,
 * where each column counts in its standard deviations. The bias costs nothing.
 *
 * @param rows what is known of each example: `[examples][columns]`
 * @param labels whether each is one
 * @param ridge above 0; the higher, the smaller the weights
 */
export function fitLogisticRegression(
  rows: readonly Float32Array[],
  labels: readonly boolean[],
  ridge: number,
): LinearModel {
  const columns = rows[0]?.length ?? 0;
  const { means, scales } = standardScales(rows, columns);
  const width = columns + 1;
  const standard = rows.map((row) => {
    const values = new Float64Array(width);
    for (let c = 0; c < columns; c++) values[c] = (at(row, c) - at(means, c)) * at(scales, c);
    values[columns] = 1;
    return values;
  });
  const weights = new Float64Array(width);
  for (let step = 0; step < MOST_STEPS; step++) {
    const gradient = new Float64Array(width);
    const curvature = new Float64Array(width * width);
    for (const [index, values] of standard.entries()) {
      let logit = 0;
      for (let c = 0; c < width; c++) logit += at(values, c) * at(weights, c);
      const chance = 1 / (1 + Math.exp(-logit));
      const error = chance - (labels[index] === true ? 1 : 0);
      const weight = chance * (1 - chance);
      for (let c = 0; c < width; c++) {
        const value = at(values, c);
        gradient[c] = at(gradient, c) + error * value;
        const scaled = weight * value;
        const row = c * width;
        for (let d = 0; d <= c; d++) {
          // The innermost loop: asking whether there are such elements takes most of its time.
          curvature[row + d] = (curvature[row + d] ?? 0) + scaled * (values[d] ?? 0);
        }
      }
    }
    const hessian = new Matrix(width, width);
    for (let c = 0; c < width; c++) {
      for (let d = 0; d <= c; d++) {
        hessian.set(c, d, at(curvature, c * width + d));
        hessian.set(d, c, at(curvature, c * width + d));
      }
      if (c === columns) continue;
      hessian.set(c, c, hessian.get(c, c) + ridge);
      gradient[c] = at(gradient, c) + ridge * at(weights, c);
    }
    // Where all labels agree, nothing holds the bias.
    hessian.set(columns, columns, hessian.get(columns, columns) + 1e-9);
    const change = new CholeskyDecomposition(hessian).solve(Matrix.columnVector(gradient));
    let furthest = 0;
    for (let c = 0; c < width; c++) {
      weights[c] = at(weights, c) - change.get(c, 0);
      furthest = Math.max(furthest, Math.abs(change.get(c, 0)));
    }
    if (furthest < TOLERANCE) break;
  }
  let bias = at(weights, columns);
  const own = new Float64Array(columns);
  for (let c = 0; c < columns; c++) {
    own[c] = at(weights, c) * at(scales, c);
    bias -= at(own, c) * at(means, c);
  }
  return { weights: own, bias };
}

/** What is taken from each column, and what it is multiplied by; constant columns come to nothing. */
function standardScales(
  rows: readonly Float32Array[],
  columns: number,
): { readonly means: Float64Array; readonly scales: Float64Array } {
  const means = new Float64Array(columns);
  const scales = new Float64Array(columns);
  for (const row of rows) {
    for (let c = 0; c < columns; c++) means[c] = at(means, c) + at(row, c);
  }
  // Divided once, or a constant column would not come out as its own mean.
  for (let c = 0; c < columns; c++) means[c] = at(means, c) / rows.length;
  for (const row of rows) {
    for (let c = 0; c < columns; c++) {
      scales[c] = at(scales, c) + (at(row, c) - at(means, c)) ** 2 / rows.length;
    }
  }
  for (let c = 0; c < columns; c++) scales[c] = at(scales, c) > 0 ? at(scales, c) ** -0.5 : 0;
  return { means, scales };
}
