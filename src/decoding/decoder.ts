import { at, range } from '../base/arrays.js';
import type { Gpt2Config, Parameters } from '../model/index.js';
import {
  type Device,
  float32,
  hasFusedOperators,
  type HostTensors,
  int32,
  int64,
  Session,
} from '../runtime/index.js';
import { KeyValueCache } from './cache.js';
import { decodeGraph, HIDDEN_STATES, LOGITS } from './decode-graph.js';
import { placeRows, type Sequence, type Slot } from './slots.js';

/** The cache grows by multiples of this many tokens, so that short chats stay cheap. */
const CAPACITY_STEP = 64;

/** How a {@link Decoder} runs. */
export interface DecoderOptions {
  readonly device?: Device;
  readonly threads?: number;
  /**
   * Whether a row that runs alone is to get the same bits as in company. ONNX Runtime multiplies a
   * single row in another order than several; where that must not show, a lone row is given a
   * second one for company, which makes its steps about twice as long. True unless given.
   */
  readonly exact?: boolean;
  /** How many sequences are remembered at least, though fewer may be read at a time. */
  readonly slots?: number;
}

/** What the model says after a sequence; valid until the decoder reads again. */
export interface Reading {
  /** The scores of the next token: `[vocab_size]`. */
  readonly logits: Float32Array;
  /** The states of the tokens read last, at least of the last one: `[tokens, n_embd]`. */
  readonly states: Float32Array;
  /** How many tokens of the sequence had been read before. */
  readonly known: number;
}

type Output = Omit<Reading, 'known'>;

/**
 * Reads sequences of tokens, several at once, and scores the token after each. It remembers the
 * keys and values of what it has read: of a sequence that starts as one before, only the rest is
 * computed.
 *
 * What comes out depends on the sequence and its prompt's length alone, to the last bit (see
 * {@link DecoderOptions.exact}): not on what was read before, not on the rows beside it, their
 * number and order. Two facts of ONNX Runtime's CPU provider make this possible: two or more rows
 * are multiplied in one order whatever their number, and so are two or more tokens of a row.
 */
export class Decoder {
  readonly config: Gpt2Config;
  readonly #session: Session;
  readonly #weights: HostTensors;
  readonly #exact: boolean;
  #cache: KeyValueCache;
  readonly #slots: Slot[];
  #clock = 0;

  private constructor(parameters: Parameters, session: Session, exact: boolean, least: number) {
    this.config = parameters.config;
    this.#session = session;
    this.#exact = exact;
    this.#weights = Object.fromEntries(
      parameters.layout.map((parameter) => [
        parameter.name,
        float32(parameters.view(parameter), parameter.shape),
      ]),
    );
    const slots = Math.max(exact ? 2 : 1, least);
    const capacity = Math.min(CAPACITY_STEP, this.config.n_positions);
    this.#cache = new KeyValueCache(this.config, slots, capacity);
    this.#slots = emptySlots(slots);
  }

  /** Makes a decoder of a model; the parameters' memory is used in place. */
  static async create(parameters: Parameters, options: DecoderOptions = {}): Promise<Decoder> {
    const graph = decodeGraph(parameters.config, hasFusedOperators(options.device ?? 'cpu'));
    const session = await Session.create(graph, options);
    return new Decoder(parameters, session, options.exact ?? true, options.slots ?? 1);
  }

  /**
   * The scores of the token after `ids`.
   *
   * @param ids at least one token and at most `n_positions`
   * @returns `[vocab_size]`, valid until the next call
   */
  async logits(ids: readonly number[]): Promise<Float32Array> {
    return at(await this.read([{ ids, prompt: ids.length }]), 0).logits;
  }

  /** Reads sequences and says what the model makes of each, in their order. */
  async read(sequences: readonly Sequence[]): Promise<Reading[]> {
    for (const sequence of sequences) this.#check(sequence);
    if (sequences.length === 0) return [];
    this.#makeRoom(sequences);
    const places = placeRows(
      sequences,
      this.#slots,
      (from, to, length) => {
        this.#cache.copy(from, to, length);
      },
      this.#exact,
    );
    const known = places.map((slot) => at(this.#slots, slot).ids.length);
    this.#clock += 1;
    const rows = sequences.map((sequence, index) => ({ sequence, slot: at(places, index) }));
    for (const { slot } of rows) at(this.#slots, slot).used = this.#clock;

    const readings = new Map<number, Output>();
    for (const { sequence, slot } of rows) {
      const { length } = at(this.#slots, slot).ids;
      if (length >= sequence.prompt) continue;
      readings.set(slot, await this.#readPrompt(sequence, slot));
    }
    for (;;) {
      const behind = rows.filter(
        ({ sequence, slot }) => at(this.#slots, slot).ids.length < sequence.ids.length,
      );
      if (behind.length === 0) break;
      await this.#step(behind, readings);
    }
    return places.map((slot, index) => {
      const output = readings.get(slot);
      if (output === undefined) throw new Error('A sequence was placed but not read.');
      return { ...output, known: at(known, index) };
    });
  }

  #check({ ids, prompt }: Sequence): void {
    const { n_positions } = this.config;
    if (ids.length === 0 || ids.length > n_positions) {
      throw new RangeError(`A model of ${n_positions} positions cannot read ${ids.length} tokens.`);
    }
    if (prompt < 1 || prompt > ids.length) {
      throw new RangeError(`A prompt of ${prompt} is not a part of ${ids.length} tokens.`);
    }
  }

  /** Makes the cache large enough for these sequences, each in a slot of its own. */
  #makeRoom(sequences: readonly Sequence[]): void {
    const { slots, capacity } = this.#cache;
    const longest = Math.max(...sequences.map(({ ids }) => ids.length));
    const wantedSlots = Math.max(slots, sequences.length);
    if (wantedSlots === slots && longest <= capacity) return;
    const rounded = Math.ceil(longest / CAPACITY_STEP) * CAPACITY_STEP;
    const wantedCapacity =
      longest <= capacity
        ? capacity
        : Math.min(Math.max(rounded, capacity * 2), Math.max(this.config.n_positions, longest));
    const lengths = this.#slots.map(({ ids }) => ids.length);
    this.#cache = this.#cache.resized(wantedSlots, wantedCapacity, lengths);
    this.#slots.push(...emptySlots(wantedSlots - slots));
  }

  /** Reads what a slot lacks of a prompt. */
  async #readPrompt({ ids, prompt }: Sequence, slot: number): Promise<Output> {
    const state = at(this.#slots, slot);
    const known = state.ids.length;
    const fresh = ids.slice(known, prompt);
    const reading = await this.#run(slot, [fresh], [known]);
    state.ids = ids.slice(0, prompt);
    state.prompt = prompt;
    return at(reading, 0);
  }

  /** Reads one more token of each of these rows. */
  async #step(
    rows: readonly { readonly sequence: Sequence; readonly slot: number }[],
    readings: Map<number, Output>,
  ): Promise<void> {
    const slots = rows.map(({ slot }) => slot);
    let first = Math.min(...slots);
    let end = Math.max(...slots) + 1;
    if (this.#exact && end - first === 1) {
      if (first > 0) first -= 1;
      else end += 1;
    }
    const tokens = range(first, end).map(() => [0]);
    const known = range(first, end).map((slot) => this.#idleLength(slot, slots));
    for (const { sequence, slot } of rows) {
      tokens[slot - first] = [at(sequence.ids, at(known, slot - first))];
    }
    const results = await this.#run(first, tokens, known);
    for (const { slot } of rows) {
      const state = at(this.#slots, slot);
      state.ids = [...state.ids, at(at(tokens, slot - first), 0)];
      readings.set(slot, at(results, slot - first));
    }
  }

  /**
   * How many tokens a slot holds. One that only keeps others company needs a place for a token
   * that nobody reads; where it has none left, it forgets what it holds.
   */
  #idleLength(slot: number, busy: readonly number[]): number {
    const state = at(this.#slots, slot);
    if (!busy.includes(slot) && state.ids.length >= this.#cache.capacity) state.ids = [];
    return state.ids.length;
  }

  /**
   * Reads equally many new tokens in neighbouring slots.
   *
   * @param first the first slot
   * @param tokens for each slot, the new tokens
   * @param known for each slot, how many tokens come before
   */
  async #run(
    first: number,
    tokens: readonly (readonly number[])[],
    known: readonly number[],
  ): Promise<Output[]> {
    const { vocab_size: vocabulary, n_embd: width } = this.config;
    const rows = tokens.length;
    const time = at(tokens, 0).length;
    const logits = new Float32Array(rows * vocabulary);
    const states = new Float32Array(rows * time * width);
    const { past, present } = this.#cache.tensors(first, rows);
    await this.#session.run(
      {
        ...this.#weights,
        ...past,
        ids: int64(tokens.flat(), [rows, time]),
        positions: int64(
          known.flatMap((length) => range(length, length + time)),
          [rows, time],
        ),
        last: int64(
          known.map((_, row) => (row + 1) * time - 1),
          [rows],
        ),
        last_positions: int32(
          known.map((length) => length + time - 1),
          [rows],
        ),
        total_length: int32([Math.max(...known) + time], []),
      },
      {
        [LOGITS]: float32(logits, [rows, vocabulary]),
        [HIDDEN_STATES]: float32(states, [rows * time, width]),
        ...present,
      },
    );
    return tokens.map((_, row) => ({
      logits: logits.subarray(row * vocabulary, (row + 1) * vocabulary),
      states: states.subarray(row * time * width, (row + 1) * time * width),
    }));
  }

  /** Frees what the decoder holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

function emptySlots(count: number): Slot[] {
  return range(0, count).map(() => ({ ids: [], prompt: 0, used: 0 }));
}
