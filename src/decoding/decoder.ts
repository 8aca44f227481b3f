import { range } from '../base/arrays.js';
import { cacheName, type Gpt2Config, type Parameters } from '../model/index.js';
import {
  type Device,
  float32,
  floatsOf,
  hasFusedOperators,
  type HostTensor,
  type HostTensors,
  int32,
  int64,
  Session,
} from '../runtime/index.js';
import { decodeGraph, LOGITS } from './decode-graph.js';

/** The cache grows by multiples of this many tokens, so that short chats stay cheap. */
const CAPACITY_STEP = 64;

/** How a {@link Decoder} runs. */
export interface DecoderOptions {
  readonly device?: Device;
  readonly threads?: number;
}

/**
 * Reads one sequence of tokens and scores the next. It remembers the keys and values of what it
 * has read: when a longer sequence starts the same way, only the rest is computed.
 */
export class Decoder {
  readonly config: Gpt2Config;
  readonly #session: Session;
  readonly #weights: HostTensors;
  readonly #logits: Float32Array;
  #cache: KeyValueCache;
  /** The tokens whose keys and values are in the cache. */
  #read: number[] = [];

  private constructor(parameters: Parameters, session: Session) {
    this.config = parameters.config;
    this.#session = session;
    this.#weights = Object.fromEntries(
      parameters.layout.map((parameter) => [
        parameter.name,
        float32(parameters.view(parameter), parameter.shape),
      ]),
    );
    this.#logits = new Float32Array(this.config.vocab_size);
    this.#cache = new KeyValueCache(this.config, CAPACITY_STEP);
  }

  /** Makes a decoder of a model; the parameters' memory is used in place. */
  static async create(parameters: Parameters, options: DecoderOptions = {}): Promise<Decoder> {
    const graph = decodeGraph(parameters.config, hasFusedOperators(options.device ?? 'cpu'));
    return new Decoder(parameters, await Session.create(graph, options));
  }

  /**
   * The scores of the token after `ids`.
   *
   * @param ids at least one token and at most `n_positions`
   * @returns `[vocab_size]`, valid until the next call
   */
  async logits(ids: readonly number[]): Promise<Float32Array> {
    if (ids.length === 0 || ids.length > this.config.n_positions) {
      throw new RangeError(
        `A model of ${this.config.n_positions} positions cannot read ${ids.length} tokens.`,
      );
    }
    // At least the last token is always computed, because its scores are wanted.
    const known = commonPrefix(this.#read, ids.slice(0, -1));
    const fresh = ids.slice(known);
    this.#cache = this.#cache.withRoomFor(ids.length, known);
    const shape = [1, fresh.length];
    const logits = float32(this.#logits, [1, this.#logits.length]);
    this.#read = [];
    await this.#session.run(
      {
        ...this.#weights,
        ...this.#cache.past,
        ids: int64(fresh, shape),
        positions: int64(range(known, ids.length), shape),
        last: int64([fresh.length - 1], [1]),
        last_positions: int32([ids.length - 1], [1]),
        total_length: int32([ids.length], []),
      },
      { [LOGITS]: logits, ...this.#cache.present },
    );
    this.#read = [...ids];
    return floatsOf(logits);
  }

  /** Frees what the decoder holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/** How many tokens two sequences have in common at their start. */
function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}

/** The keys and values of one sequence, `[1, n_head, capacity, n_embd / n_head]` for each layer. */
class KeyValueCache {
  readonly #config: Gpt2Config;
  readonly #capacity: number;
  readonly #buffers: readonly Float32Array[];
  /** The graph's inputs. */
  readonly past: HostTensors;
  /** The graph's outputs, in the same memory. */
  readonly present: HostTensors;

  constructor(config: Gpt2Config, capacity: number) {
    this.#config = config;
    this.#capacity = capacity;
    const width = config.n_embd / config.n_head;
    const past: Record<string, HostTensor> = {};
    const present: Record<string, HostTensor> = {};
    const buffers: Float32Array[] = [];
    for (let layer = 0; layer < config.n_layer; layer++) {
      for (const what of ['key', 'value'] as const) {
        const buffer = new Float32Array(capacity * config.n_embd);
        const tensor = float32(buffer, [1, config.n_head, capacity, width]);
        past[cacheName('past_key_values', layer, what)] = tensor;
        present[cacheName('present', layer, what)] = tensor;
        buffers.push(buffer);
      }
    }
    this.past = past;
    this.present = present;
    this.#buffers = buffers;
  }

  /** A cache of at least `length` tokens with the first `known` of this one: itself or a larger. */
  withRoomFor(length: number, known: number): KeyValueCache {
    if (length <= this.#capacity) return this;
    const config = this.#config;
    const wanted = Math.max(Math.ceil(length / CAPACITY_STEP) * CAPACITY_STEP, this.#capacity * 2);
    const larger = new KeyValueCache(
      config,
      Math.min(wanted, Math.max(config.n_positions, length)),
    );
    const width = config.n_embd / config.n_head;
    for (const [index, target] of larger.#buffers.entries()) {
      const source = this.#buffers[index] ?? new Float32Array();
      for (let head = 0; head < config.n_head; head++) {
        const start = head * this.#capacity * width;
        const part = source.subarray(start, start + known * width);
        target.set(part, head * larger.#capacity * width);
      }
    }
    return larger;
  }
}
