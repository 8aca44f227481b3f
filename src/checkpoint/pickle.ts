import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';

/** A class or function that a pickle names. It is never looked up, let alone called. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What a pickle may build beside plain values: decided by the caller, by name. */
export interface PickleRules {
  /** Whether the pickle may name this class or function (`module.name`). */
  allows(name: string): boolean;
  /** What calling the named class or function gives; `undefined` where it may not be called. */
  call(name: string, values: readonly unknown[]): unknown;
  /** What a persistent id stands for; `undefined` where it stands for nothing known. */
  load(id: unknown): unknown;
}

/** Thrown where the bytes end before the pickle does. */
export class PickleEndsEarly extends UserError {}

/**
 * Reads one pickle (protocols 2 to 5) that starts at `bytes[start]`. Only numbers, texts, bytes,
 * lists, tuples (both become arrays), dicts (become `Map`s) and what `rules` allows are built;
 * any other instruction is refused. Nothing is executed.
 *
 * @param place what is read, for messages: `file: byte`.
 * @throws UserError naming the byte and the instruction, class or function that is refused;
 *   {@link PickleEndsEarly} where the bytes end before the pickle.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  rules: PickleRules,
  place: string,
): { readonly value: unknown; readonly end: number } {
  const machine = new PickleMachine(bytes, start, rules, place);
  const value = machine.run();
  return { value, end: machine.position };
}

const MARK = Symbol('mark');

/**
 * The most instructions that are carried out: ten times as many as the largest GPT-2 takes with
 * its optimizer's state. It bounds the memory for what a hostile pickle builds to some 100 MB.
 */
const MOST_INSTRUCTIONS = 500_000;

/**
 * How many values are handed to classes and functions at most, for each byte of the pickle: a list
 * that is remembered and handed out again and again would take time and memory without end. Real
 * pickles hand each value out once or twice.
 */
const CALLS_PER_BYTE = 8;

/** A list of pairs, handed to an ordered dict, lies this deep in what is handed out. */
const DEEPEST_LOOK = 2;

/** The longest name that a message repeats. */
const LONGEST_NAME = 100;

/** The instructions that are understood, by their byte (Python's `pickletools` lists them all). */
const instructions: Readonly<Record<number, (machine: PickleMachine) => void>> = {
  0x80: (machine) => {
    const protocol = machine.byte();
    if (protocol < 2 || protocol > 5) throw machine.refuse(`pickle protocol ${protocol}`);
  },
  0x95: (machine) => void machine.length(8), // FRAME: only a hint
  0x28: (machine) => {
    machine.push(MARK);
  },
  0x30: (machine) => void machine.popAny(), // POP
  0x31: (machine) => void machine.popToMark(), // POP_MARK
  0x32: (machine) => {
    machine.push(machine.top()); // DUP
  },
  0x4e: (machine) => {
    machine.push(null);
  },
  0x88: (machine) => {
    machine.push(true);
  },
  0x89: (machine) => {
    machine.push(false);
  },
  0x4b: (machine) => {
    machine.push(machine.byte()); // BININT1
  },
  0x4d: (machine) => {
    machine.push(machine.view(2).getUint16(0, true)); // BININT2
  },
  0x4a: (machine) => {
    machine.push(machine.view(4).getInt32(0, true)); // BININT
  },
  0x47: (machine) => {
    machine.push(machine.view(8).getFloat64(0, false)); // BINFLOAT
  },
  0x8a: (machine) => {
    machine.push(machine.long(machine.byte())); // LONG1
  },
  0x55: (machine) => {
    machine.push(machine.text(machine.byte())); // SHORT_BINSTRING
  },
  0x54: (machine) => {
    machine.push(machine.text(machine.length(4))); // BINSTRING
  },
  0x8c: (machine) => {
    machine.push(machine.text(machine.byte())); // SHORT_BINUNICODE
  },
  0x58: (machine) => {
    machine.push(machine.text(machine.length(4))); // BINUNICODE
  },
  0x8d: (machine) => {
    machine.push(machine.text(machine.length(8))); // BINUNICODE8
  },
  0x43: (machine) => {
    machine.push(machine.take(machine.byte())); // SHORT_BINBYTES
  },
  0x42: (machine) => {
    machine.push(machine.take(machine.length(4))); // BINBYTES
  },
  0x8e: (machine) => {
    machine.push(machine.take(machine.length(8))); // BINBYTES8
  },
  0x5d: (machine) => {
    machine.push([]); // EMPTY_LIST
  },
  0x29: (machine) => {
    machine.push([]); // EMPTY_TUPLE
  },
  0x7d: (machine) => {
    machine.push(new Map()); // EMPTY_DICT
  },
  0x74: (machine) => {
    machine.push(machine.popToMark()); // TUPLE
  },
  0x6c: (machine) => {
    machine.push(machine.popToMark()); // LIST
  },
  0x85: (machine) => {
    machine.push(machine.popMany(1)); // TUPLE1
  },
  0x86: (machine) => {
    machine.push(machine.popMany(2)); // TUPLE2
  },
  0x87: (machine) => {
    machine.push(machine.popMany(3)); // TUPLE3
  },
  0x61: (machine) => {
    machine.append(machine.popMany(1)); // APPEND
  },
  0x65: (machine) => {
    machine.append(machine.popToMark()); // APPENDS
  },
  0x64: (machine) => {
    const items = machine.popToMark(); // DICT
    machine.push(new Map());
    machine.setItems(items);
  },
  0x73: (machine) => {
    machine.setItems(machine.popMany(2)); // SETITEM
  },
  0x75: (machine) => {
    machine.setItems(machine.popToMark()); // SETITEMS
  },
  0x71: (machine) => {
    machine.remember(machine.byte()); // BINPUT
  },
  0x72: (machine) => {
    machine.remember(machine.view(4).getUint32(0, true)); // LONG_BINPUT
  },
  0x94: (machine) => {
    machine.remember(undefined); // MEMOIZE
  },
  0x68: (machine) => {
    machine.recall(machine.byte()); // BINGET
  },
  0x6a: (machine) => {
    machine.recall(machine.view(4).getUint32(0, true)); // LONG_BINGET
  },
  0x63: (machine) => {
    machine.name(machine.line(), machine.line()); // GLOBAL
  },
  0x93: (machine) => {
    const [module, name] = machine.popMany(2); // STACK_GLOBAL
    machine.name(module, name);
  },
  0x52: (machine) => {
    const [callee, values] = machine.popMany(2); // REDUCE
    machine.call(callee, values);
  },
  0x81: (machine) => {
    const [callee, values] = machine.popMany(2); // NEWOBJ
    machine.call(callee, values);
  },
  0x62: (machine) => {
    // BUILD: attributes, such as a state dict's version notes, change no tensor.
    machine.popMany(1);
  },
  0x51: (machine) => {
    machine.loadPersistent(machine.pop()); // BINPERSID
  },
};

/** The stack, the memo and the place in the bytes, with the steps that instructions consist of. */
class PickleMachine {
  position: number;
  readonly #bytes: Uint8Array;
  readonly #rules: PickleRules;
  readonly #place: string;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  /** Where the instruction under way starts. */
  #instruction = 0;
  /** How many more values may be handed to classes and functions. */
  #handouts: number;

  constructor(bytes: Uint8Array, start: number, rules: PickleRules, place: string) {
    this.#bytes = bytes;
    this.position = start;
    this.#rules = rules;
    this.#place = place;
    this.#handouts = CALLS_PER_BYTE * (bytes.length - start);
  }

  run(): unknown {
    const STOP = 0x2e;
    for (let count = 0; ; count++) {
      this.#instruction = this.position;
      if (count === MOST_INSTRUCTIONS) {
        throw this.refuse(`a pickle of more than ${MOST_INSTRUCTIONS} instructions`);
      }
      const code = this.byte();
      if (code === STOP) return this.pop();
      const instruction = instructions[code];
      if (instruction === undefined) {
        throw this.refuse(`the pickle instruction 0x${code.toString(16).padStart(2, '0')}`);
      }
      instruction(this);
    }
  }

  refuse(what: string): UserError {
    return new UserError(
      `${this.#place} ${this.#instruction}: ${what} is not allowed; only tensors and plain containers are read, so save the model's state_dict alone or as safetensors.`,
    );
  }

  #broken(what: string): UserError {
    return new UserError(
      `${this.#place} ${this.#instruction}: ${what}; the file is damaged or not a PyTorch file.`,
    );
  }

  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.position) {
      throw new PickleEndsEarly(
        `${this.#place} ${this.#instruction}: the pickle is cut short; get the file again.`,
      );
    }
    this.position += length;
    return this.#bytes.subarray(this.position - length, this.position);
  }

  byte(): number {
    return at(this.take(1), 0);
  }

  view(length: number): DataView {
    const bytes = this.take(length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  /** A length of four or eight bytes. */
  length(size: 4 | 8): number {
    const view = this.view(size);
    return size === 4 ? view.getUint32(0, true) : Number(view.getBigUint64(0, true));
  }

  text(length: number): string {
    const bytes = this.take(length);
    return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('utf8');
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    const text = this.text((end === -1 ? this.#bytes.length : end) - this.position);
    this.byte();
    return text;
  }

  /** A two's complement little-endian integer: a number where it fits, a bigint otherwise. */
  long(length: number): number | bigint {
    let value = 0n;
    for (const byte of Uint8Array.from(this.take(length)).reverse()) {
      value = (value << 8n) | BigInt(byte);
    }
    value = BigInt.asIntN(length * 8, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  popAny(): unknown {
    if (this.#stack.length === 0) throw this.#broken('the pickle takes from an empty stack');
    return this.#stack.pop();
  }

  pop(): unknown {
    const value = this.popAny();
    if (value === MARK) throw this.#broken('the pickle takes a mark for a value');
    return value;
  }

  top(): unknown {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }

  popMany(count: number): unknown[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  popToMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark === -1) throw this.#broken('the pickle looks for a mark that is not there');
    return this.#stack.splice(mark).slice(1);
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.#broken('the pickle appends to what is not a list');
    for (const item of items) list.push(item);
  }

  setItems(items: readonly unknown[]): void {
    const dict = this.top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) {
      throw this.#broken('the pickle sets items of what is not a dict');
    }
    for (let index = 0; index < items.length; index += 2) {
      dict.set(items[index], items[index + 1]);
    }
  }

  remember(key: number | undefined): void {
    this.#memo.set(key ?? this.#memo.size, this.top());
  }

  recall(key: number): void {
    if (!this.#memo.has(key)) throw this.#broken(`the pickle recalls value ${key}, which is unset`);
    this.push(this.#memo.get(key));
  }

  name(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw this.#broken('the pickle names a class by what is not a text');
    }
    const full = `${module}.${name}`;
    if (!this.#rules.allows(full)) throw this.refuse(quoted(full));
    this.push(new PickleGlobal(full));
  }

  call(callee: unknown, values: unknown): void {
    if (!(callee instanceof PickleGlobal)) throw this.#broken('the pickle calls a plain value');
    this.#handOut(values);
    const result = Array.isArray(values) ? this.#rules.call(callee.name, values) : undefined;
    if (result === undefined) {
      throw this.#broken(`${quoted(callee.name)} is called with wrong values`);
    }
    this.push(result);
  }

  /** Counts the values that are handed out, those in lists as deep as anybody looks among them. */
  #handOut(values: unknown, depth = 0): void {
    if (!Array.isArray(values) || depth > DEEPEST_LOOK) return;
    this.#handouts -= values.length;
    if (this.#handouts < 0) throw this.refuse('a pickle that repeats its parts so often');
    for (const value of values) this.#handOut(value, depth + 1);
  }

  loadPersistent(id: unknown): void {
    this.#handOut(id);
    const value = this.#rules.load(id);
    if (value === undefined) throw this.#broken('the pickle refers to storage in an unknown way');
    this.push(value);
  }
}

/** A name for a message, cut where a hostile one would be without end. */
function quoted(name: string): string {
  const shown = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name;
  return JSON.stringify(shown);
}
