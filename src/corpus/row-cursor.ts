const LENGTH = 0;
const KIND = 4;
const NUMBER = 8;
const FIRST = 16;
const SECOND = 20;
const THIRD = 24;
const HEADER = 28;

/** A text within rows; made a piece of its own only when it is needed. */
export class RowText {
  readonly #rows: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(rows: Buffer, start: number, end: number) {
    this.#rows = rows;
    this.#start = start;
    this.#end = end;
  }

  get isEmpty(): boolean {
    return this.#start === this.#end;
  }

  /** UTF-8. */
  get bytes(): Buffer {
    return this.#rows.subarray(this.#start, this.#end);
  }
}

/** Goes through rows as `RowReader` writes them (see there for what they hold), one at a time. */
export class RowCursor {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #start = 0;
  #end = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Goes to the next row; false where there is none. */
  next(): boolean {
    this.#start = this.#end;
    if (this.#start >= this.#bytes.length) return false;
    this.#end += this.#view.getUint32(this.#start + LENGTH, true);
    return true;
  }

  get isComment(): boolean {
    return this.#view.getUint32(this.#start + KIND, true) === 1;
  }

  get number(): number {
    return this.#view.getFloat64(this.#start + NUMBER, true);
  }

  set number(value: number) {
    this.#view.setFloat64(this.#start + NUMBER, value, true);
  }

  get thread(): string {
    return this.#text(this.#start + HEADER, this.#length(FIRST));
  }

  get second(): string {
    return this.#text(this.#start + HEADER + this.#length(FIRST), this.#length(SECOND));
  }

  get third(): string {
    const start = this.#start + HEADER + this.#length(FIRST) + this.#length(SECOND);
    return this.#text(start, this.#length(THIRD));
  }

  get text(): RowText {
    const keys = this.#length(FIRST) + this.#length(SECOND) + this.#length(THIRD);
    return new RowText(this.#bytes, this.#start + HEADER + keys, this.#end);
  }

  #length(field: number): number {
    return this.#view.getUint32(this.#start + field, true);
  }

  #text(start: number, length: number): string {
    return this.#bytes.toString('utf8', start, start + length);
  }
}
