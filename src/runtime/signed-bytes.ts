import { Graph } from '../graph/index.js';
import { Session } from './session.js';
import { HostTensor } from './tensors.js';

/** The sizes of the products that are tried; one row goes another way than several. */
const ROWS = [1, 8];
const INNER = 64;
const COLUMNS = 32;

/** The largest byte of an input, and of a weight. */
const LARGEST_INPUT = 255;
const LARGEST_WEIGHT = 127;

let known: Promise<boolean> | undefined;

/**
 * Whether the CPU adds products of bytes without and with a sign exactly. x86 processors without
 * VNNI add two of them in 16 bits and cut off what does not fit. It is tried once with the largest
 * numbers there are.
 */
export function addsSignedBytes(): Promise<boolean> {
  known ??= tryLargest();
  return known;
}

async function tryLargest(): Promise<boolean> {
  const graph = new Graph();
  const weights = graph.external('weights', 'int8', [INNER, COLUMNS], {
    location: 'weights',
    offset: 0,
    length: INNER * COLUMNS,
  });
  const x = graph.input('x', 'uint8', ['rows', INNER]);
  const shape = ['rows', COLUMNS];
  const [product] = graph.node('MatMulInteger', [x, weights], [{ type: 'int32', shape }]);
  if (product === undefined) throw new Error('A node of one output made none.');
  graph.output('product', product);
  const memory = new Map([['weights', new Uint8Array(INNER * COLUMNS).fill(LARGEST_WEIGHT)]]);
  await using session = await Session.create(graph, { threads: 1 }, { memory });
  for (const rows of ROWS) {
    const bytes = new Uint8Array(rows * INNER).fill(LARGEST_INPUT);
    const feeds = { x: new HostTensor('uint8', bytes, [rows, INNER]) };
    const { data } = (await session.run(feeds, { product: null })).product ?? {};
    const exact = LARGEST_INPUT * LARGEST_WEIGHT * INNER;
    if (!(data instanceof Int32Array) || data.some((sum) => sum !== exact)) return false;
  }
  return true;
}
