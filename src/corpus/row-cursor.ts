const LENGTH = 0;
const KIND = 4;
const NUMBER = 8;
const FIRST = 16;
const SECOND = 20;
const THIRD = 24;
const HEADER = 28;

/** Where a string lies within rows. */
export interface Place {
  readonly start: number;
  readonly length: number;
}

/** Goes through rows as `RowReader` writes them (see there for what they hold), one at a time. */
export class RowCursor {
  /** All rows. */
  readonly bytes: Buffer;
  readonly #view: DataView;
  #start = 0;
  #end = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Goes to the next row; false where there is none. */
  next(): boolean {
    if (this.#end >= this.bytes.length) return false;
    this.goTo(this.#end);
    return true;
  }

  /** Goes to the row that starts at this place. */
  goTo(start: number): void {
    this.#start = start;
    this.#end = start + this.#view.getUint32(start + LENGTH, true);
  }

  /** Where the row starts. */
  get start(): number {
    return this.#start;
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

  get threadPlace(): Place {
    return { start: this.#start + HEADER, length: this.#length(FIRST) };
  }

  get secondPlace(): Place {
    return {
      start: this.#start + HEADER + this.#length(FIRST),
      length: this.#length(SECOND),
    };
  }

  get thirdPlace(): Place {
    return {
      start: this.#start + HEADER + this.#length(FIRST) + this.#length(SECOND),
      length: this.#length(THIRD),
    };
  }

  get thread(): string {
    return this.#text(this.threadPlace);
  }

  get second(): string {
    return this.#text(this.secondPlace);
  }

  get third(): string {
    return this.#text(this.thirdPlace);
  }

  /** UTF-8. */
  get text(): Buffer {
    return this.bytes.subarray(this.#textStart, this.#end);
  }

  get hasText(): boolean {
    return this.#textStart < this.#end;
  }

  get #textStart(): number {
    const keys = this.#length(FIRST) + this.#length(SECOND) + this.#length(THIRD);
    return this.#start + HEADER + keys;
  }

  #length(field: number): number {
    return this.#view.getUint32(this.#start + field, true);
  }

  #text({ start, length }: Place): string {
    return this.bytes.toString('utf8', start, start + length);
  }
}
