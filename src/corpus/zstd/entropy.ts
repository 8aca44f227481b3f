import { at } from '../../base/arrays.js';
import { BackwardBits, byteAt, ForwardBits, highestBit, ZstdError } from './bits.js';

/** A finite state entropy table: for each state its symbol and the way to the next state. */
export interface FseTable {
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** Builds a table from probabilities (RFC 8878, 4.1.1); −1 stands for "less than one". */
export function buildFseTable(probabilities: readonly number[], accuracy: number): FseTable {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const next = probabilities.map((probability) => Math.abs(probability));
  let high = size - 1;
  probabilities.forEach((probability, symbol) => {
    if (probability === -1) symbols[high--] = symbol;
  });
  const step = (size >>> 1) + (size >>> 3) + 3;
  let position = 0;
  probabilities.forEach((probability, symbol) => {
    for (let count = 0; count < probability; count++) {
      symbols[position] = symbol;
      do position = (position + step) & (size - 1);
      while (position > high);
    }
  });
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const symbol = at(symbols, state);
    const place = at(next, symbol);
    next[symbol] = place + 1;
    const count = accuracy - highestBit(place);
    bits[state] = count;
    bases[state] = (place << count) - size;
  }
  return { accuracy, symbols, bits, bases };
}

/** A table that always gives the same symbol. */
export function constantFseTable(symbol: number): FseTable {
  return buildFseTable([...new Array<number>(symbol).fill(0), 1], 0);
}

/** Reads a table's description; returns it and the byte after it. */
export function readFseTable(
  bytes: Uint8Array,
  start: number,
  mostAccuracy: number,
): { readonly table: FseTable; readonly end: number } {
  const reader = new ForwardBits(bytes, start);
  const accuracy = reader.read(4) + 5;
  if (accuracy > mostAccuracy) throw new ZstdError('an entropy table is too large');
  const probabilities: number[] = [];
  let remaining = 1 << accuracy;
  while (remaining > 0) {
    if (probabilities.length > 255) throw new ZstdError('an entropy table has too many symbols');
    const count = highestBit(remaining + 1) + 1;
    const threshold = (1 << count) - 1 - (remaining + 1);
    const lowMask = (1 << (count - 1)) - 1;
    let value = reader.read(count);
    if ((value & lowMask) < threshold) {
      reader.rewind(1);
      value &= lowMask;
    } else if (value > lowMask) {
      value -= threshold;
    }
    const probability = value - 1;
    remaining -= Math.abs(probability);
    probabilities.push(probability);
    if (probability !== 0) continue;
    for (let repeat = 3; repeat === 3;) {
      repeat = reader.read(2);
      for (let zero = 0; zero < repeat; zero++) probabilities.push(0);
    }
  }
  if (remaining < 0) throw new ZstdError('an entropy table is inconsistent');
  return { table: buildFseTable(probabilities, accuracy), end: reader.nextByte };
}

/** A Huffman table: for every `bits` next bits, the symbol (low byte) and its length (high byte). */
export interface HuffmanTable {
  readonly bits: number;
  readonly entries: Uint16Array;
}

const MOST_HUFFMAN_BITS = 11;

/** Reads a Huffman tree's description (RFC 8878, 4.2.1); returns it and the byte after it. */
export function readHuffmanTable(
  bytes: Uint8Array,
  start: number,
): { readonly table: HuffmanTable; readonly end: number } {
  const header = byteAt(bytes, start);
  const weights: number[] = [];
  let end: number;
  if (header >= 128) {
    const count = header - 127;
    for (let index = 0; index < count; index++) {
      const pair = byteAt(bytes, start + 1 + (index >>> 1));
      weights.push(index % 2 === 0 ? pair >>> 4 : pair & 15);
    }
    end = start + 1 + ((count + 1) >>> 1);
  } else {
    end = start + 1 + header;
    const description = readFseTable(bytes, start + 1, 6);
    readWeights(description.table, new BackwardBits(bytes, description.end, end), weights);
  }
  return { table: buildHuffmanTable(weights), end };
}

/** Reads weights from two states that take turns, until the bits are used up. */
function readWeights(table: FseTable, reader: BackwardBits, weights: number[]): void {
  let state = reader.read(table.accuracy);
  let other = reader.read(table.accuracy);
  for (;;) {
    weights.push(at(table.symbols, state));
    state = at(table.bases, state) + reader.read(at(table.bits, state));
    if (reader.left < 0) break;
    [state, other] = [other, state];
    if (weights.length > 255) throw new ZstdError('a Huffman tree has too many symbols');
  }
  weights.push(at(table.symbols, other));
}

function buildHuffmanTable(weights: number[]): HuffmanTable {
  const total = weights.reduce((sum, weight) => sum + (weight > 0 ? 1 << (weight - 1) : 0), 0);
  if (total === 0) throw new ZstdError('a Huffman tree is empty');
  const bits = highestBit(total) + 1;
  const rest = (1 << bits) - total;
  if (bits > MOST_HUFFMAN_BITS || (rest & (rest - 1)) !== 0) {
    throw new ZstdError('a Huffman tree is inconsistent');
  }
  weights.push(highestBit(rest) + 1);
  const entries = new Uint16Array(1 << bits);
  let position = 0;
  for (let weight = 1; weight <= bits; weight++) {
    weights.forEach((other, symbol) => {
      if (other !== weight) return;
      const end = position + (1 << (weight - 1));
      entries.fill(((bits + 1 - weight) << 8) | symbol, position, end);
      position = end;
    });
  }
  return { bits, entries };
}

/** Decodes one Huffman stream, `bytes[start, end)`, into `out[from, to)`. */
export function decodeHuffman(
  { bits, entries }: HuffmanTable,
  bytes: Uint8Array,
  [start, end]: readonly [number, number],
  out: Uint8Array,
  [from, to]: readonly [number, number],
): void {
  const reader = new BackwardBits(bytes, start, end);
  for (let position = from; position < to; position++) {
    const entry = entries[reader.peek(bits)] ?? 0;
    out[position] = entry;
    reader.left -= entry >>> 8;
  }
  if (reader.left !== 0) throw new ZstdError('a Huffman stream has another length');
}
