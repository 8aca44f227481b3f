import { at } from '../base/arrays.js';
import {
  type Checkpoint,
  loadCheckpoint,
  loadValueHead,
  VALUE_MEASURES,
  type ValueHead,
} from '../checkpoint/index.js';
import type { SessionOptions } from '../runtime/index.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { promptTokens, turnTokens } from './history.js';
import type { Reranker, ResponsePair } from './rerank.js';
import { Scorer } from './scorer.js';

/** Reads what a model makes of replies to conversations: what a value head looks at. */
export class ReplyReader {
  readonly #scorer: Scorer;
  readonly #tokenizer: Tokenizer;

  private constructor(scorer: Scorer, tokenizer: Tokenizer) {
    this.#scorer = scorer;
    this.#tokenizer = tokenizer;
  }

  static async create(
    { parameters, tokenizer }: Checkpoint,
    options: SessionOptions = {},
  ): Promise<ReplyReader> {
    return new ReplyReader(await Scorer.create(parameters, 'both', options), tokenizer);
  }

  /**
   * Of each response to its own history: the model's state at its end (`n_embd` numbers), then its
   * log-probability, that for a token, and its number of tokens, each with the end of text. Whole
   * turns are left out from the oldest on where the model has no room for them.
   *
   * @throws UserError if there is no turn to reply to.
   */
  async read(pairs: readonly ResponsePair[]): Promise<Float32Array[]> {
    const { n_positions: positions, n_embd: width } = this.#scorer.config;
    const sequences = pairs.map(({ history, response }) => {
      const reply = turnTokens(this.#tokenizer, response).slice(0, Math.floor(positions / 2));
      const prompt = promptTokens(this.#tokenizer, history, positions - reply.length);
      return { ids: [...prompt, ...reply], from: prompt.length };
    });
    const parts = await this.#scorer.scoreParts(sequences);
    return parts.map(({ logProbability, lastState }, index) => {
      const { ids, from } = at(sequences, index);
      const features = new Float32Array(width + VALUE_MEASURES);
      features.set(lastState);
      const length = ids.length - from;
      features.set([logProbability, logProbability / length, length], width);
      return features;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scorer[Symbol.asyncDispose]();
  }
}

/**
 * What judges a model's candidates by its value head: the chance that a reply does, from 0 to 1, as
 * those who judged the head's examples would say.
 *
 * @param reader reads with the model whose head it is
 */
export function valueReranker(reader: ReplyReader, head: ValueHead): Reranker {
  return {
    score: async (history, responses) => {
      const read = await reader.read(responses.map((response) => ({ history, response })));
      return read.map((features) => ({ final: valueOf(head, features) }));
    },
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

/**
 * Loads a model with its value head.
 *
 * @param path the model's folder
 * @throws UserError if there is no head in it, or either is damaged.
 */
export async function loadValueReranker(
  path: string,
  options: SessionOptions = {},
): Promise<Reranker> {
  const checkpoint = await loadCheckpoint(path);
  const head = await loadValueHead(path, checkpoint.parameters.config.n_embd);
  return valueReranker(await ReplyReader.create(checkpoint, options), head);
}

/** The chance that a reply does, from what {@link ReplyReader.read} says of it. */
export function valueOf({ state, measures, bias }: ValueHead, features: Float32Array): number {
  let logit = bias;
  for (let index = 0; index < state.length; index++) {
    logit += at(state, index) * at(features, index);
  }
  for (let index = 0; index < measures.length; index++) {
    logit += at(measures, index) * at(features, state.length + index);
  }
  return 1 / (1 + Math.exp(-logit));
}
