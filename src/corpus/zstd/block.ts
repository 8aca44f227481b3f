import { at, range } from '../../base/arrays.js';
import { BackwardBits, byteAt, LARGEST_BLOCK, littleEndian, ZstdError } from './bits.js';
import {
  buildFseTable,
  constantFseTable,
  decodeHuffman,
  type FseTable,
  type HuffmanTable,
  readFseTable,
  readHuffmanTable,
} from './entropy.js';
import type { Window } from './window.js';

/** How a code of a sequence becomes a number: a base and extra bits. */
interface CodeKind {
  readonly mostAccuracy: number;
  readonly usual: FseTable;
  readonly bases: readonly number[];
  readonly extra: readonly number[];
}

/** `count` codes without extra bits, then those listed as [base, bits]. */
function codes(first: number, count: number, rest: readonly (readonly [number, number])[]) {
  return {
    bases: [...range(first, first + count), ...rest.map(([base]) => base)],
    extra: [...new Array<number>(count).fill(0), ...rest.map(([, bits]) => bits)],
  };
}

const powers = (from: number, to: number, add: number): (readonly [number, number])[] =>
  range(from, to + 1).map((bits) => [2 ** bits + add, bits] as const);

function repeated(value: number, count: number): number[] {
  return new Array<number>(count).fill(value);
}

// RFC 8878, 3.1.1.3.2.1.1 and 3.1.1.3.2.2.
const LITERAL_LENGTHS: CodeKind = {
  mostAccuracy: 9,
  usual: buildFseTable(
    [
      4,
      3,
      ...repeated(2, 11),
      1,
      1,
      1,
      ...repeated(2, 9),
      3,
      2,
      ...repeated(1, 5),
      ...repeated(-1, 4),
    ],
    6,
  ),
  ...codes(0, 16, [
    [16, 1],
    [18, 1],
    [20, 1],
    [22, 1],
    [24, 2],
    [28, 2],
    [32, 3],
    [40, 3],
    [48, 4],
    ...powers(6, 16, 0),
  ]),
};
const MATCH_LENGTHS: CodeKind = {
  mostAccuracy: 9,
  usual: buildFseTable([1, 4, 3, ...repeated(2, 6), ...repeated(1, 37), ...repeated(-1, 7)], 6),
  ...codes(3, 32, [
    [35, 1],
    [37, 1],
    [39, 1],
    [41, 1],
    [43, 2],
    [47, 2],
    [51, 3],
    [59, 3],
    [67, 4],
    [83, 4],
    [99, 5],
    ...powers(7, 16, 3),
  ]),
};
const OFFSETS: CodeKind = {
  mostAccuracy: 8,
  usual: buildFseTable([...repeated(1, 6), 2, 2, 2, ...repeated(1, 15), ...repeated(-1, 5)], 5),
  ...codes(1, 1, powers(1, 31, 0)),
};

/** Decodes compressed blocks; what one block leaves for the next is kept here. */
export class BlockDecoder {
  #huffman: HuffmanTable | undefined;
  readonly #tables = new Map<CodeKind, FseTable>();
  #offset1 = 1;
  #offset2 = 4;
  #offset3 = 8;
  readonly #literals = new Uint8Array(LARGEST_BLOCK);
  #literalsLength = 0;

  /** Decodes one block's body and appends its content to the window. */
  decode(bytes: Uint8Array, window: Window): void {
    const start = this.#readLiterals(bytes);
    const first = byteAt(bytes, start);
    let count = first;
    let position = start + 1;
    if (first === 255) {
      count = byteAt(bytes, start + 1) + (byteAt(bytes, start + 2) << 8) + 0x7f00;
      position = start + 3;
    } else if (first >= 128) {
      count = ((first - 128) << 8) + byteAt(bytes, start + 1);
      position = start + 2;
    }
    if (count === 0) {
      window.append(this.#literals, 0, this.#literalsLength);
      return;
    }
    const modes = byteAt(bytes, position++);
    position = this.#readTable(LITERAL_LENGTHS, modes >>> 6, bytes, position);
    position = this.#readTable(OFFSETS, (modes >>> 4) & 3, bytes, position);
    position = this.#readTable(MATCH_LENGTHS, (modes >>> 2) & 3, bytes, position);
    this.#runSequences(new BackwardBits(bytes, position, bytes.length), count, window);
  }

  /** RFC 8878, 3.1.1.3.1; returns the byte after the literals. */
  #readLiterals(bytes: Uint8Array): number {
    const first = byteAt(bytes, 0);
    const type = first & 3;
    const format = (first >>> 2) & 3;
    if (type < 2) {
      const header = format === 1 ? 2 : format === 3 ? 3 : 1;
      const whole = littleEndian(bytes, 0, header);
      const length = whole >>> (header === 1 ? 3 : 4);
      this.#setLiteralsLength(length);
      const end = header + (type === 0 ? length : 1);
      if (end > bytes.length) throw new ZstdError('a block is shorter than its literals');
      if (type === 0) this.#literals.set(bytes.subarray(header, end));
      else this.#literals.fill(byteAt(bytes, header), 0, length);
      return end;
    }
    const header = format < 2 ? 3 : format + 2;
    const sizeBits = format < 2 ? 10 : format === 2 ? 14 : 18;
    const sizes = Math.floor(littleEndian(bytes, 0, header) / 16);
    this.#setLiteralsLength(sizes % 2 ** sizeBits);
    const end = header + Math.floor(sizes / 2 ** sizeBits);
    if (end > bytes.length) throw new ZstdError('a block is shorter than its literals');
    let start = header;
    if (type === 2) {
      const { table, end: tableEnd } = readHuffmanTable(bytes, header);
      this.#huffman = table;
      start = tableEnd;
    }
    this.#decodeLiterals(bytes, start, end, format === 0 ? 1 : 4);
    return end;
  }

  #setLiteralsLength(length: number): void {
    if (length > LARGEST_BLOCK) throw new ZstdError('a block has too many literals');
    this.#literalsLength = length;
  }

  #decodeLiterals(bytes: Uint8Array, start: number, end: number, streams: number): void {
    const table = this.#huffman;
    if (table === undefined) throw new ZstdError('a block has no Huffman tree');
    const length = this.#literalsLength;
    if (streams === 1) {
      decodeHuffman(table, bytes, [start, end], this.#literals, [0, length]);
      return;
    }
    const each = (length + 3) >>> 2;
    let from = start + 6;
    for (let stream = 0; stream < 4; stream++) {
      const to = stream === 3 ? end : from + littleEndian(bytes, start + stream * 2, 2);
      if (to > end) throw new ZstdError('a Huffman stream is too long');
      const out = [stream * each, stream === 3 ? length : (stream + 1) * each] as const;
      decodeHuffman(table, bytes, [from, to], this.#literals, out);
      from = to;
    }
  }

  /** Takes over the table for one kind of code; returns the byte after its description. */
  #readTable(kind: CodeKind, mode: number, bytes: Uint8Array, start: number): number {
    switch (mode) {
      case 0:
        this.#tables.set(kind, kind.usual);
        return start;
      case 1: {
        const symbol = byteAt(bytes, start);
        if (symbol >= kind.bases.length) throw new ZstdError('a code is out of range');
        this.#tables.set(kind, constantFseTable(symbol));
        return start + 1;
      }
      case 2: {
        const { table, end } = readFseTable(bytes, start, kind.mostAccuracy);
        if (table.symbols.some((symbol) => symbol >= kind.bases.length)) {
          throw new ZstdError('a code is out of range');
        }
        this.#tables.set(kind, table);
        return end;
      }
      default:
        return start;
    }
  }

  #table(kind: CodeKind): FseTable {
    const table = this.#tables.get(kind);
    if (table === undefined) throw new ZstdError('a block repeats a table that is not there');
    return table;
  }

  /** RFC 8878, 3.1.1.4: literals and matches take turns. */
  #runSequences(reader: BackwardBits, count: number, window: Window): void {
    const lengths = this.#table(LITERAL_LENGTHS);
    const offsets = this.#table(OFFSETS);
    const matches = this.#table(MATCH_LENGTHS);
    let lengthState = reader.read(lengths.accuracy);
    let offsetState = reader.read(offsets.accuracy);
    let matchState = reader.read(matches.accuracy);
    let literal = 0;
    for (let index = 0; index < count; index++) {
      const offsetCode = at(offsets.symbols, offsetState);
      const matchCode = at(matches.symbols, matchState);
      const lengthCode = at(lengths.symbols, lengthState);
      const offsetValue = at(OFFSETS.bases, offsetCode) + reader.read(offsetCode);
      const matchLength =
        at(MATCH_LENGTHS.bases, matchCode) + reader.read(at(MATCH_LENGTHS.extra, matchCode));
      const literalLength =
        at(LITERAL_LENGTHS.bases, lengthCode) + reader.read(at(LITERAL_LENGTHS.extra, lengthCode));
      if (index < count - 1) {
        lengthState = next(lengths, lengthState, reader);
        matchState = next(matches, matchState, reader);
        offsetState = next(offsets, offsetState, reader);
      }
      if (reader.left < 0) throw new ZstdError('the sequences end too early');
      if (literal + literalLength > this.#literalsLength) throw new ZstdError('literals run out');
      window.append(this.#literals, literal, literal + literalLength);
      literal += literalLength;
      window.repeat(this.#offset(offsetValue, literalLength), matchLength);
    }
    if (reader.left !== 0) throw new ZstdError('the sequences have another length');
    window.append(this.#literals, literal, this.#literalsLength);
  }

  /** The distance a value stands for, given the last three (RFC 8878, 3.1.1.5). */
  #offset(value: number, literalLength: number): number {
    if (value > 3) {
      this.#offset3 = this.#offset2;
      this.#offset2 = this.#offset1;
      this.#offset1 = value - 3;
      return this.#offset1;
    }
    const which = literalLength === 0 ? value + 1 : value;
    if (which === 1) return this.#offset1;
    const chosen = which === 2 ? this.#offset2 : which === 3 ? this.#offset3 : this.#offset1 - 1;
    if (which !== 2) this.#offset3 = this.#offset2;
    this.#offset2 = this.#offset1;
    this.#offset1 = chosen;
    return chosen;
  }
}

function next(table: FseTable, state: number, reader: BackwardBits): number {
  return at(table.bases, state) + reader.read(at(table.bits, state));
}
