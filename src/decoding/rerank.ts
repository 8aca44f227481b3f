import { at, range } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import type { Checkpoint, RankerCheckpoint } from '../checkpoint/index.js';
import type { SessionOptions } from '../runtime/index.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { turnTokens } from './history.js';
import { Scorer } from './scorer.js';

/** Scores by name, among them `final`, which decides; the higher, the better. */
export type Scores = Readonly<Record<string, number>>;

/** Judges responses to a conversation. */
export interface Reranker {
  /** The scores of each response. */
  score(history: readonly string[], responses: readonly string[]): Promise<readonly Scores[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A reranker that is loaded when it is first asked, as most programs never ask. */
export function onFirstUse(load: () => Promise<Reranker>): Reranker {
  let loaded: Promise<Reranker> | undefined;
  return {
    score: async (history, responses) => (await (loaded ??= load())).score(history, responses),
    [Symbol.asyncDispose]: async () => {
      // Whoever asked was told why it could not be loaded; there is nothing to free then.
      await (await loaded?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}

/**
 * Maximum mutual information as DialoGPT's paper has it (section 3.3; Li et al. 2016): how likely
 * a model of reversed conversations finds the history after the response, log P(source |
 * hypothesis). The turns of the history are read from the last to the first, as such a model's
 * training data has them.
 */
export class MutualInformation implements Reranker {
  readonly #scorer: Scorer;
  readonly #tokenizer: Tokenizer;

  private constructor(scorer: Scorer, tokenizer: Tokenizer) {
    this.#scorer = scorer;
    this.#tokenizer = tokenizer;
  }

  static async create(
    { parameters, tokenizer }: Checkpoint,
    options: SessionOptions = {},
  ): Promise<MutualInformation> {
    return new MutualInformation(await Scorer.create(parameters, 'losses', options), tokenizer);
  }

  async score(
    history: readonly string[],
    responses: readonly string[],
  ): Promise<readonly Scores[]> {
    const { n_positions: positions } = this.#scorer.config;
    const half = Math.floor(positions / 2);
    const hypotheses = responses.map((text) => turnTokens(this.#tokenizer, text).slice(0, half));
    const longest = Math.max(...hypotheses.map(({ length }) => length));
    // All candidates are judged by the same source, or their scores could not be compared.
    const source: number[] = [];
    for (const text of [...history].reverse()) {
      const turn = turnTokens(this.#tokenizer, text);
      if (source.length > 0 && longest + source.length + turn.length > positions) break;
      source.push(...turn.slice(0, positions - longest));
    }
    const sums = await this.#scorer.logProbabilities(
      hypotheses.map((ids) => ({ ids: [...ids, ...source], from: ids.length })),
    );
    return sums.map((final) => ({ final }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scorer[Symbol.asyncDispose]();
  }
}

/** A response and the turns before it, oldest first. */
export interface ResponsePair {
  readonly history: readonly string[];
  readonly response: string;
}

/** A ranking model as DialogRPT's: the chance that people prefer a response, from 0 to 1. */
export class Ranker {
  readonly #scorer: Scorer;
  readonly #tokenizer: Tokenizer;
  readonly #head: Float32Array;

  private constructor(scorer: Scorer, tokenizer: Tokenizer, head: Float32Array) {
    this.#scorer = scorer;
    this.#tokenizer = tokenizer;
    this.#head = head;
  }

  static async create(
    { parameters, tokenizer, score }: RankerCheckpoint,
    options: SessionOptions = {},
  ): Promise<Ranker> {
    return new Ranker(await Scorer.create(parameters, 'states', options), tokenizer, score);
  }

  /** The score of each response; see {@link Ranker.scorePairs}. */
  async score(history: readonly string[], responses: readonly string[]): Promise<number[]> {
    return this.scorePairs(responses.map((response) => ({ history, response })));
  }

  /**
   * The score of each response to its own history as DialogRPT's `predict` computes it: the sigmoid
   * of the head at the response's last token, after the turns of the history, each followed by the
   * end of text. Whole turns are left out from the oldest on where the model has no room for them.
   */
  async scorePairs(pairs: readonly ResponsePair[]): Promise<number[]> {
    const { n_positions: positions } = this.#scorer.config;
    const { endOfText } = this.#tokenizer;
    const sequences = pairs.map(({ history, response }) => {
      let ids = this.#tokenizer.encode(response.trim()).slice(0, Math.floor(positions / 2));
      for (const [age, turn] of history.toReversed().entries()) {
        const tokens = [...this.#tokenizer.encode(turn.trim()), endOfText];
        const room = positions - ids.length;
        if (age > 0 && tokens.length > room) break;
        ids = [...tokens.slice(-room), ...ids];
      }
      return { ids: ids.length === 0 ? [endOfText] : ids };
    });
    const states = await this.#scorer.lastStates(sequences);
    return states.map((state) => {
      let logit = 0;
      for (let index = 0; index < state.length; index++) {
        logit += at(state, index) * at(this.#head, index);
      }
      return 1 / (1 + Math.exp(-logit));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scorer[Symbol.asyncDispose]();
  }
}

/** A ranker's part in an {@link Ensemble}. */
export interface EnsembleMember {
  readonly name: string;
  readonly weight: number;
  /** `prior` tells people's responses from others; `cond` tells how people like them. */
  readonly kind: 'prior' | 'cond';
  readonly ranker: Pick<Ranker, 'scorePairs' | typeof Symbol.asyncDispose>;
}

/**
 * Several rankers together as DialogRPT's `JointScorer` has it: the weighted average of the priors
 * times that of the conditionals; a kind without rankers counts as 1.
 */
export class Ensemble implements Reranker {
  readonly #members: readonly EnsembleMember[];

  /** @throws UserError if the weights of a kind sum to 0, or two rankers have one name. */
  constructor(members: readonly EnsembleMember[]) {
    if (members.length === 0) throw new UserError('Reranking needs at least one ranker.');
    for (const kind of ['prior', 'cond'] as const) {
      const own = members.filter((member) => member.kind === kind);
      if (own.length > 0 && own.reduce((sum, { weight }) => sum + weight, 0) === 0) {
        throw new UserError(`The weights of the ${kind} rankers sum to 0; change one of them.`);
      }
    }
    const names = members.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) throw new UserError(`The ranker ${twice} is given twice.`);
    this.#members = members;
  }

  async score(
    history: readonly string[],
    responses: readonly string[],
  ): Promise<readonly Scores[]> {
    return this.scorePairs(responses.map((response) => ({ history, response })));
  }

  /** The scores of each response to its own history. */
  async scorePairs(pairs: readonly ResponsePair[]): Promise<readonly Scores[]> {
    const columns: (EnsembleMember & { readonly values: readonly number[] })[] = [];
    for (const member of this.#members) {
      columns.push({ ...member, values: await member.ranker.scorePairs(pairs) });
    }
    return range(0, pairs.length).map((row) => {
      const average = (kind: EnsembleMember['kind']) => {
        const own = columns.filter((column) => column.kind === kind);
        if (own.length === 0) return 1;
        const total = own.reduce((sum, { weight, values }) => sum + weight * at(values, row), 0);
        return total / own.reduce((sum, { weight }) => sum + weight, 0);
      };
      const each = Object.fromEntries(columns.map(({ name, values }) => [name, at(values, row)]));
      return { ...each, final: average('prior') * average('cond') };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { ranker } of this.#members) await ranker[Symbol.asyncDispose]();
  }
}
