import type { Parameter, ParameterBuffer } from '../model/index.js';

/** The numbers in a row of a flat buffer; no row holds two parameters' numbers. */
export const FLAT_ROW = 1024;

/** A parameter's place in a flat buffer. */
export interface FlatPlace {
  readonly parameter: Parameter;
  /** Its shape there: with more rows than the parameter has where it is padded with zeros. */
  readonly shape: readonly number[];
  readonly length: number;
  /** The first element's place. */
  readonly start: number;
  /** The rows that it takes, the last of which may end with zeros. */
  readonly rows: number;
}

/**
 * All parameters in one buffer of rows, so that a device treats them in a few large operations
 * instead of a few small ones for each: `[rows, FLAT_ROW]`. Rows belong to one parameter, so sums
 * and factors of parameters are sums and factors of rows.
 */
export class FlatLayout {
  readonly places: readonly FlatPlace[];
  readonly rows: number;

  /** @param shapeOf the shape that a parameter has in the buffer */
  constructor(
    parameters: readonly Parameter[],
    shapeOf: (parameter: Parameter) => readonly number[] = ({ shape }) => shape,
  ) {
    let rows = 0;
    this.places = parameters.map((parameter) => {
      const shape = shapeOf(parameter);
      const length = shape.reduce((product, dimension) => product * dimension, 1);
      const place = {
        parameter,
        shape,
        length,
        start: rows * FLAT_ROW,
        rows: Math.ceil(length / FLAT_ROW),
      };
      rows += place.rows;
      return place;
    });
    this.rows = rows;
  }

  /** The shape of a buffer. */
  get shape(): readonly [number, number] {
    return [this.rows, FLAT_ROW];
  }

  /** The numbers of a parameter buffer, laid out flat. */
  pack(buffer: ParameterBuffer): Float32Array {
    const flat = new Float32Array(this.rows * FLAT_ROW);
    for (const { parameter, start } of this.places) flat.set(buffer.view(parameter), start);
    return flat;
  }

  /** Writes the numbers of a flat buffer into a parameter buffer. */
  unpack(flat: Float32Array, buffer: ParameterBuffer): void {
    for (const { parameter, start } of this.places) {
      buffer.view(parameter).set(flat.subarray(start, start + parameter.length));
    }
  }

  /** A number for each row, told by the name of its parameter. */
  ofRows(value: (name: string) => number): Float32Array {
    return Float32Array.from(
      this.places.flatMap(({ parameter, rows }) =>
        new Array<number>(rows).fill(value(parameter.name)),
      ),
    );
  }
}
