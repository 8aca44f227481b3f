import { at, range, sum } from '../base/arrays.js';
import type { GraphWeights } from '../checkpoint/portable.js';
import type { Gpt2Config } from '../model/index.js';
import {
  type Device,
  type GraphSession,
  hasFusedOperators,
  type HostTensors,
  int64,
  type OpenSession,
} from '../runtime/portable.js';
import { type CacheAccess, type CacheRun, KeyValueCache } from './cache.js';
import { copyingAccess } from './copying-access.js';
import { decodeGraph } from './decode-graph.js';
import type { Reader, Reading } from './reader.js';
import { type Output, readingOf, SlotResults } from './slot-results.js';
import { gatherSlots, placeRows, type Sequence, type Slot } from './slots.js';

/**
 * The cache grows by multiples of this many tokens, so that short chats stay cheap. A multiple of
 * what a vector register holds: sums over all places then come out the same for each capacity.
 */
const CAPACITY_STEP = 64;

/**
 * How many tokens of a prompt are read at once: attention then looks at few places that a token may
 * not see, and its scores stay in the processor's cache.
 */
const PROMPT_AT_ONCE = 256;

/** How a {@link CachedReader} reads. */
export interface CachedReaderOptions {
  /**
   * Whether the bits of a reading may not depend on what was read before. Otherwise a sequence takes
   * over all that is known of its start, though a prompt read at once and tokens read one by one
   * differ in their last bits. True unless given.
   */
  readonly exact?: boolean;
  /** How many sequences are remembered at least, though fewer may be read at a time. */
  readonly slots?: number;
}

/** A sequence and the slot that it was given. */
interface Row {
  readonly sequence: Sequence;
  readonly slot: number;
}

/**
 * Reads sequences of tokens, several at once, and scores the token after each. It remembers the
 * keys and values of what it has read: of a sequence that goes on as one before (unless `exact`, also of
 * one that merely starts so), only the rest is computed.
 *
 * What comes out depends on the sequence and its prompt's length alone, to the last bit, where
 * weights are 32-bit numbers and the CPU computes: not on what was read before, not on the rows
 * beside it, their number and order. ONNX Runtime multiplies by constant weights row by row in one
 * order, and prompts are read one at a time. With 8-bit weights a product's input is quantised by
 * the range of all its rows, so company shows in the last digits.
 */
export class CachedReader implements Reader, AsyncDisposable {
  readonly config: Gpt2Config;
  readonly #session: GraphSession;
  readonly #access: CacheAccess;
  #cache: KeyValueCache;
  readonly #exact: boolean;
  readonly #slots: Slot[];
  /** What the graph says of each slot's last token; its memory is used again at each run. */
  #results: SlotResults;
  #clock = 0;

  /** @param access how the session's graph uses the cache */
  protected constructor(
    config: Gpt2Config,
    session: GraphSession,
    access: CacheAccess,
    { exact = true, slots = 1 }: CachedReaderOptions = {},
  ) {
    this.config = config;
    this.#session = session;
    this.#exact = exact;
    this.#access = access;
    this.#cache = new KeyValueCache(config, slots, CAPACITY_STEP);
    this.#slots = emptySlots(slots);
    this.#results = new SlotResults(config, slots);
  }

  /**
   * Makes a reader of a model.
   *
   * @param open makes its graph ready to run on the device
   */
  static async open(
    weights: GraphWeights,
    device: Device,
    open: OpenSession,
    options: CachedReaderOptions = {},
  ): Promise<CachedReader> {
    const access = copyingAccess(device);
    const session = await openDecodeGraph(weights, device, access, open);
    return new CachedReader(weights.config, session, access, options);
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
    const found = placeRows(
      sequences,
      this.#slots,
      (from, to, length) => {
        this.#cache.copy(from, to, length);
      },
      this.#exact,
    );
    const places = gatherSlots(found, this.#slots.length, (one, other) => {
      this.#exchange(one, other);
    });
    const known = places.map((slot) => at(this.#slots, slot).ids.length);
    this.#clock += 1;
    const rows = sequences.map((sequence, index) => ({ sequence, slot: at(places, index) }));
    for (const { slot } of rows) at(this.#slots, slot).used = this.#clock;

    const readings = new Map<number, Output>();
    // A step overwrites the results of slots between its own, so all rows have their last step together,
    // and prompts that nothing follows are read at the end.
    for (const row of rows) {
      if (row.sequence.ids.length > row.sequence.prompt) await this.#readPrompt(row, readings);
    }
    const left = ({ sequence: { ids, prompt }, slot }: Row) =>
      ids.length === prompt ? 0 : ids.length - at(this.#slots, slot).ids.length;
    for (let most = Math.max(...rows.map(left)); most > 0; most--) {
      await this.#step(
        rows.filter((row) => left(row) === most),
        readings,
      );
    }
    for (const row of rows) await this.#readPrompt(row, readings);
    return places.map((slot, index) => ({ ...given(readings, slot), known: at(known, index) }));
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
    const rounded = roundUp(longest);
    const wantedCapacity =
      longest <= capacity
        ? capacity
        : Math.max(rounded, Math.min(capacity * 2, roundUp(this.config.n_positions)));
    const lengths = this.#slots.map(({ ids }) => ids.length);
    this.#cache = this.#cache.resized(wantedSlots, wantedCapacity, lengths);
    this.#slots.push(...emptySlots(wantedSlots - slots));
    if (wantedSlots > slots) this.#results = new SlotResults(this.config, wantedSlots);
  }

  #exchange(one: number, other: number): void {
    const [first, second] = [at(this.#slots, one), at(this.#slots, other)];
    this.#cache.exchange(one, other, first.ids.length, second.ids.length);
    this.#slots[one] = second;
    this.#slots[other] = first;
  }

  /** Reads what a slot lacks of a prompt. */
  async #readPrompt({ sequence, slot }: Row, readings: Map<number, Output>): Promise<void> {
    const { ids, prompt, states = false } = sequence;
    const state = at(this.#slots, slot);
    const parts: Float32Array[] = [];
    while (state.ids.length < prompt) {
      const known = state.ids.length;
      const left = prompt - known;
      // A lone token at the end would take as long as many.
      const time = left <= PROMPT_AT_ONCE + 1 ? left : PROMPT_AT_ONCE;
      const output = await this.#readPart(ids.slice(known, known + time), slot, states);
      state.ids = ids.slice(0, known + time);
      state.prompt = state.ids.length;
      parts.push(output.states);
      readings.set(slot, output);
    }
    if (parts.length > 1 && states) {
      readings.set(slot, { ...given(readings, slot), states: endToEnd(parts) });
    }
  }

  /** Reads tokens of a prompt after those that a slot holds; `states` says whether of all of them. */
  async #readPart(ids: readonly number[], slot: number, states: boolean): Promise<Output> {
    const run = { first: slot, known: [at(this.#slots, slot).ids.length], time: ids.length };
    const results = this.#results.of(slot, 1, states ? ids.length : 1);
    await this.#run(run, ids, states, results, [slot]);
    return readingOf(results, 0, 1);
  }

  /** Reads one more token of each of these rows. */
  async #step(rows: readonly Row[], readings: Map<number, Output>): Promise<void> {
    const first = Math.min(...rows.map(({ slot }) => slot));
    const count = Math.max(...rows.map(({ slot }) => slot)) + 1 - first;
    // A slot between them that has nothing to read reads a token too, at its end, and nobody looks at it.
    const tokens = new Array<number>(count).fill(0);
    const room = Math.min(this.#cache.capacity, this.config.n_positions);
    const known = range(first, first + count).map((slot) => {
      const state = at(this.#slots, slot);
      if (state.ids.length === room) {
        state.ids = state.ids.slice(0, -1);
        // What is left of a prompt was not read as a prompt of that length.
        if (state.prompt > state.ids.length) state.prompt = 0;
      }
      return state.ids.length;
    });
    for (const { sequence, slot } of rows) {
      tokens[slot - first] = at(sequence.ids, at(this.#slots, slot).ids.length);
    }
    const results = this.#results.of(first, count, 1);
    const slots = rows.map(({ slot }) => slot);
    await this.#run({ first, known, time: 1 }, tokens, false, results, slots);
    for (const slot of slots) {
      const state = at(this.#slots, slot);
      const row = slot - first;
      state.ids = [...state.ids, at(tokens, row)];
      readings.set(slot, readingOf(results, row, count));
    }
  }

  /**
   * Reads equally many new tokens in each slot of a run.
   *
   * @param ids the tokens, slot by slot
   * @param states whether the states of all new tokens are wanted, or those of the last ones alone
   * @param results where they and the scores go
   * @param kept the slots that are to remember the tokens
   */
  async #run(
    run: CacheRun,
    ids: readonly number[],
    states: boolean,
    results: HostTensors,
    kept: readonly number[],
  ): Promise<void> {
    const { known, time } = run;
    const rows = known.length;
    const positions = known.flatMap((length) => range(length, length + time));
    const ends = range(0, rows).map((row) => (row + 1) * time - 1);
    const wanted = states ? range(0, rows * time) : ends;
    const last = states ? ends : range(0, rows);
    const { inputs, outputs } = this.#access.tensors(this.#cache, run);
    await this.#session.run(
      {
        ...inputs,
        ids: int64(ids, [rows * time]),
        positions: int64(positions, [rows * time]),
        wanted: int64(wanted, [wanted.length]),
        last: int64(last, [rows]),
      },
      { ...results, ...outputs },
    );
    this.#access.keep(this.#cache, run, outputs, kept);
  }

  /** Frees what the session holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/** Makes the graph that a model decodes with ready to run. */
export async function openDecodeGraph(
  weights: GraphWeights,
  device: Device,
  { attention }: CacheAccess,
  open: OpenSession,
): Promise<GraphSession> {
  const fused = hasFusedOperators(device);
  const graph = decodeGraph(weights.config, fused, attention, (empty) => weights.declare(empty));
  weights.finish(graph);
  return open(graph, device, weights.files);
}

function given(readings: ReadonlyMap<number, Output>, slot: number): Output {
  const output = readings.get(slot);
  if (output === undefined) throw new Error('A sequence was placed but not read.');
  return output;
}

function endToEnd(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(sum(parts.map(({ length }) => length)));
  let start = 0;
  for (const part of parts) {
    all.set(part, start);
    start += part.length;
  }
  return all;
}

function roundUp(tokens: number): number {
  return Math.ceil(tokens / CAPACITY_STEP) * CAPACITY_STEP;
}

function emptySlots(count: number): Slot[] {
  return range(0, count).map(() => ({ ids: [], prompt: 0, used: 0 }));
}
