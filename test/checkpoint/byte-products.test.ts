import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../src/base/random.js';
import { type ByteMatrices, standIn } from '../../src/checkpoint/byte-matrices.js';
import { type ByteProducts, computeWithBytes } from '../../src/checkpoint/byte-products.js';
import { Graph, matmul } from '../../src/graph/index.js';
import { addsSignedBytes, float32, floatsOf, Session } from '../../src/runtime/index.js';

const [INNER, COLUMNS] = [48, 20];
const random = new Random(4);
const scales = Float32Array.from({ length: COLUMNS }, () => random.uniform() + 0.1);

/** The product of `x` and a matrix of bytes that lies as it is or on its side. */
async function product(
  bytes: Uint8Array,
  x: Float32Array,
  sideways: boolean,
  products: ByteProducts,
): Promise<Float32Array> {
  const graph = new Graph();
  const shape = sideways ? [COLUMNS, INNER] : [INNER, COLUMNS];
  const place = { location: 'bytes', offset: 0, length: bytes.length };
  const scale = { location: 'scales', offset: 0, length: scales.byteLength };
  const matrices: ByteMatrices = new Map();
  const matrix = standIn(
    graph,
    shape,
    {
      bytes: graph.external('bytes', 'uint8', shape, place),
      scale: graph.external('scales', 'float32', [COLUMNS], scale),
      signed: () => graph.external('signed', 'int8', shape, place),
    },
    matrices,
  );
  const input = graph.input('x', 'float32', ['rows', INNER]);
  graph.output('y', matmul(input, matrix, { transposeB: sideways }));
  computeWithBytes(graph, matrices, products);
  const memory = new Map([
    ['bytes', bytes],
    ['scales', new Uint8Array(scales.buffer)],
  ]);
  await using session = await Session.create(graph, { threads: 1 }, { memory });
  const feeds = { x: float32(x, [x.length / INNER, INNER]) };
  return floatsOf((await session.run(feeds, { y: null })).y);
}

describe('products of bytes', () => {
  for (const sideways of [false, true]) {
    for (const rows of [1, 3, 40]) {
      it(`are the sums of numbers around 128 (${rows} rows, on its side: ${sideways})`, async () => {
        const bytes = Uint8Array.from({ length: INNER * COLUMNS }, () => 1 + random.below(255));
        const x = Float32Array.from({ length: rows * INNER }, () => random.normal());
        const unsigned = await product(bytes, x, sideways, 'unsigned');
        let [error, square] = [0, 0];
        for (const index of unsigned.keys()) {
          const [row, column] = [Math.floor(index / COLUMNS), index % COLUMNS];
          let sum = 0;
          for (let k = 0; k < INNER; k++) {
            const byte = bytes[sideways ? column * INNER + k : k * COLUMNS + column] ?? NaN;
            sum += (x[row * INNER + k] ?? NaN) * (byte - 128) * (scales[column] ?? NaN);
          }
          error += (sum - (unsigned[index] ?? NaN)) ** 2;
          square += sum ** 2;
        }
        assert.ok(Math.sqrt(error / square) < 0.02, `${Math.sqrt(error / square)}`);
        if (await addsSignedBytes()) {
          assert.deepEqual(await product(bytes, x, sideways, 'signed'), unsigned);
        }
      });
    }
  }
});
