import { weightsInMemory } from '../checkpoint/portable.js';
import {
  CachedReader,
  checkOptions,
  type GenerationOptions,
  type Intervention,
  type Reader,
  type ReplyCandidate,
  type ReplySummary,
  parseModelDefaults,
  SharedDecoder,
  streamReply,
  withDefaults,
} from '../decoding/portable.js';
import { gpt2Config } from '../model/index.js';
import { WebSession, type WebSessionOptions } from '../runtime/web-session.js';
import { parseVocabulary, Tokenizer } from '../tokenizer/portable.js';
import { fetchModel, type FetchOptions, type ModelFiles } from './files.js';

/** How {@link loadModel} loads a model. */
export interface BrowserLoadOptions extends FetchOptions, WebSessionOptions {
  /** How many conversations are remembered, so that of a next turn only what is new is read; 1. */
  readonly slots?: number;
}

/** How {@link BrowserModel.reply} replies. */
export interface BrowserReplyOptions extends GenerationOptions {
  /** Ends the reply; what has been generated so far has been yielded. */
  readonly signal?: AbortSignal;
  /** Is told of all candidates, the best first, before the reply comes. */
  readonly onCandidates?: (candidates: readonly ReplyCandidate[]) => void;
  /** Is told of each reply that the block list withholds. */
  readonly onIntervention?: (intervention: Intervention) => void;
  /** Is told of tokens and the reason to end when the reply is whole. */
  readonly onSummary?: (summary: ReplySummary) => void;
}

/** A dialogue model in a browser. It computes where it is called: call it in a worker. */
export class BrowserModel implements AsyncDisposable {
  readonly #cache: CachedReader;
  readonly #decoder: SharedDecoder;
  readonly #tokenizer: Tokenizer;
  readonly #defaults: GenerationOptions;

  private constructor(cache: CachedReader, tokenizer: Tokenizer, defaults: GenerationOptions) {
    this.#cache = cache;
    this.#decoder = new SharedDecoder(cache);
    this.#tokenizer = tokenizer;
    this.#defaults = defaults;
  }

  /** The most tokens that the model reads, the reply included. */
  get positions(): number {
    return this.#cache.config.n_positions;
  }

  /** How many different tokens it knows. */
  get vocabulary(): number {
    return this.#tokenizer.size;
  }

  /**
   * Makes a model of files in memory.
   *
   * @throws UserError where they are damaged, do not belong together, or the device cannot be had.
   */
  static async of(files: ModelFiles, options: BrowserLoadOptions = {}): Promise<BrowserModel> {
    const { slots = 1, device = 'cpu', threads, runtimeFiles } = options;
    const config = gpt2Config(files.config, 'config.json');
    const vocabulary = parseVocabulary(files.vocabulary, files.merges, {
      vocabulary: 'vocab.json',
      merges: 'merges.txt',
    });
    const own = parseModelDefaults(files.generation ?? {}, 'generation_config.json');
    // There is no model here that ranks candidates, and they would hold back the stream.
    const defaults = withDefaults(own.options, { numCandidates: 1, rerank: 'none' });
    const weights = await weightsInMemory(config, files.weights, 'model.safetensors');
    const cache = await CachedReader.open(
      weights,
      device,
      (graph, where, constants) =>
        WebSession.create(
          graph,
          {
            device: where,
            ...(threads === undefined ? {} : { threads }),
            ...(runtimeFiles === undefined ? {} : { runtimeFiles }),
          },
          constants,
        ),
      { slots, exact: false },
    );
    return new BrowserModel(cache, new Tokenizer(vocabulary), defaults);
  }

  /**
   * Replies to a conversation, piece by piece, as `DialogModel.reply` does: as its
   * `generation_config.json` says where nothing is said.
   *
   * @param history the turns so far, oldest first; the last is the one to reply to
   * @throws UserError if an option cannot be, or there is nothing to reply to.
   */
  async *reply(
    history: readonly string[],
    { signal, onCandidates, onIntervention, onSummary, ...options }: BrowserReplyOptions = {},
  ): AsyncGenerator<string, void, undefined> {
    checkOptions(options, this.#defaults);
    const asked = withDefaults(this.#defaults, options);
    const reader: Reader = {
      config: this.#decoder.config,
      read: (sequences) => {
        signal?.throwIfAborted();
        return this.#decoder.read(sequences);
      },
    };
    try {
      yield* streamReply(reader, this.#tokenizer, history, asked, {
        ...(onCandidates === undefined ? {} : { onCandidates }),
        ...(onIntervention === undefined ? {} : { onIntervention }),
        ...(onSummary === undefined ? {} : { onSummary }),
      });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  }

  /** Frees what the model holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cache[Symbol.asyncDispose]();
  }
}

/**
 * Loads a model to talk to in a browser.
 *
 * @param model the address of its folder (see {@link fetchModel}), or its files
 * @throws UserError if it cannot be fetched, is damaged, or the device cannot be had.
 */
export async function loadModel(
  model: string | ModelFiles,
  options: BrowserLoadOptions = {},
): Promise<BrowserModel> {
  const files = typeof model === 'string' ? await fetchModel(model, options) : model;
  options.signal?.throwIfAborted();
  return BrowserModel.of(files, options);
}
