import { at, sum } from '../base/arrays.js';
import { gather, Graph, linearCrossEntropy, type Tensor } from '../graph/index.js';
import {
  forward,
  type Gpt2Config,
  parameterInputs,
  type Parameters,
  raggedAttention,
  raggedLayoutInputs,
  raggedPlaces,
  TOKEN_EMBEDDING,
} from '../model/index.js';
import {
  float32,
  floatsOf,
  hasFusedOperators,
  type HostTensors,
  int64,
  Session,
  type SessionOptions,
} from '../runtime/index.js';

/** The most tokens that are read at once. */
const TOKENS_AT_ONCE = 8192;

const LOSSES = 'losses';
const LAST_STATES = 'last_states';

/** A sequence of which a part is to be scored. */
export interface ScoredSequence {
  readonly ids: readonly number[];
  /** The first token that is scored; at least 1, as nothing is before the first. */
  readonly from: number;
}

/** What a scorer is for: probabilities, states, or both at once. */
export type ScorerOutput = 'losses' | 'states' | 'both';

/** What a model makes of the part of a sequence that is scored. */
export interface ScoredPart {
  /** log P(ids[from…] | ids[…from]), natural logarithm. */
  readonly logProbability: number;
  /** The state of the last token: `[n_embd]`. */
  readonly lastState: Float32Array;
}

/**
 * A graph over a ragged batch that puts out the negative log-likelihood of each label (`[labels]`),
 * the last state of each row (`[rows, n_embd]`), or both.
 */
function scoringGraph(config: Gpt2Config, output: ScorerOutput, fused: boolean): Graph {
  const graph = new Graph({ fused });
  const parameter = parameterInputs(graph, config);
  const tokens = {
    ids: graph.input('ids', 'int64', ['tokens']),
    positions: graph.input('positions', 'int64', ['tokens']),
  };
  const attention = raggedAttention(config, raggedLayoutInputs(graph));
  const rows = graph.input('wanted', 'int64', ['wanted']);
  const select = (x: Tensor) => gather(x, rows);
  const wanted = forward(config, parameter, tokens, attention, { select });
  if (output === 'states') graph.output(LAST_STATES, wanted);
  else {
    const labels = graph.input('labels', 'int64', ['wanted']);
    graph.output(LOSSES, linearCrossEntropy(wanted, parameter(TOKEN_EMBEDDING), labels));
    if (output === 'both') {
      graph.output(LAST_STATES, gather(wanted, graph.input('last', 'int64', ['rows'])));
    }
  }
  return graph;
}

/** Reads whole sequences, several at once, without choosing tokens. */
export class Scorer {
  readonly config: Gpt2Config;
  readonly #session: Session;
  readonly #weights: HostTensors;

  private constructor(parameters: Parameters, session: Session) {
    this.config = parameters.config;
    this.#session = session;
    this.#weights = Object.fromEntries(
      parameters.layout.map((parameter) => [
        parameter.name,
        float32(parameters.view(parameter), parameter.shape),
      ]),
    );
  }

  /**
   * Makes a scorer; the parameters' memory is used in place.
   *
   * @param output what it is for: {@link Scorer.logProbabilities}, {@link Scorer.lastStates} or
   *   {@link Scorer.scoreParts}
   */
  static async create(
    parameters: Parameters,
    output: ScorerOutput,
    options: SessionOptions = {},
  ): Promise<Scorer> {
    const fused = hasFusedOperators(options.device ?? 'cpu');
    const graph = scoringGraph(parameters.config, output, fused);
    return new Scorer(parameters, await Session.create(graph, options));
  }

  /** log P(ids[from…] | ids[…from]) of each sequence, natural logarithm. */
  async logProbabilities(sequences: readonly ScoredSequence[]): Promise<number[]> {
    const sums: number[] = [];
    for (const batch of batches(sequences)) {
      const { wanted, labels, ends } = scoredRows(batch, false);
      const feeds = {
        wanted: int64(wanted, [wanted.length]),
        labels: int64(labels, [labels.length]),
      };
      const losses = floatsOf((await this.#run(batch, feeds, LOSSES))[LOSSES]);
      for (const [row, { ids, from }] of batch.entries()) {
        const end = at(ends, row);
        sums.push(-sum(losses.subarray(end - (ids.length - from), end)));
      }
    }
    return sums;
  }

  /** The state of the last token of each sequence: `[n_embd]` each. */
  async lastStates(
    sequences: readonly { readonly ids: readonly number[] }[],
  ): Promise<Float32Array[]> {
    const width = this.config.n_embd;
    const states: Float32Array[] = [];
    for (const batch of batches(sequences)) {
      let end = 0;
      const last = batch.map(({ ids }) => (end += ids.length) - 1);
      const wanted = int64(last, [last.length]);
      const found = floatsOf((await this.#run(batch, { wanted }, LAST_STATES))[LAST_STATES]);
      for (const row of batch.keys()) states.push(found.slice(row * width, (row + 1) * width));
    }
    return states;
  }

  /** What the model makes of each sequence's part, read once. */
  async scoreParts(sequences: readonly ScoredSequence[]): Promise<ScoredPart[]> {
    const width = this.config.n_embd;
    const parts: ScoredPart[] = [];
    for (const batch of batches(sequences)) {
      const { wanted, labels, ends } = scoredRows(batch, true);
      const feeds = {
        wanted: int64(wanted, [wanted.length]),
        labels: int64(labels, [labels.length]),
        last: int64(ends, [ends.length]),
      };
      const outputs = await this.#run(batch, feeds, LOSSES, LAST_STATES);
      const [losses, states] = [floatsOf(outputs[LOSSES]), floatsOf(outputs[LAST_STATES])];
      for (const [row, { ids, from }] of batch.entries()) {
        const end = at(ends, row);
        parts.push({
          logProbability: -sum(losses.subarray(end - (ids.length - from), end)),
          lastState: states.slice(row * width, (row + 1) * width),
        });
      }
    }
    return parts;
  }

  async #run(
    batch: readonly { readonly ids: readonly number[] }[],
    feeds: HostTensors,
    ...outputs: readonly string[]
  ): Promise<HostTensors> {
    const { time, positions, padded, flat, present, mask } = raggedPlaces(
      batch.map(({ ids }) => ids.length),
    );
    return this.#session.run(
      {
        ...this.#weights,
        ...feeds,
        ids: int64(
          batch.flatMap(({ ids }) => ids),
          [positions.length],
        ),
        positions: int64(positions, [positions.length]),
        padded: int64(padded, [batch.length, time]),
        padded_list: int64(padded, [padded.length]),
        flat: int64(flat, [flat.length]),
        present: float32(present, [present.length, 1]),
        mask: float32(mask, [time, time]),
      },
      Object.fromEntries(outputs.map((name) => [name, null])),
    );
  }

  /** Frees what the scorer holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/**
 * The rows of a batch whose next tokens are scored, with those tokens as labels, and where each
 * sequence's rows end.
 *
 * @param withLast whether each sequence's last row comes after those (it is number `ends[sequence]`);
 *   nothing follows it, and what its label costs is not to be asked
 */
function scoredRows(
  batch: readonly ScoredSequence[],
  withLast: boolean,
): { readonly wanted: number[]; readonly labels: number[]; readonly ends: number[] } {
  const wanted: number[] = [];
  const labels: number[] = [];
  const ends: number[] = [];
  let start = 0;
  for (const { ids, from } of batch) {
    for (let place = from; place < ids.length; place++) {
      wanted.push(start + place - 1);
      labels.push(at(ids, place));
    }
    start += ids.length;
    ends.push(wanted.length);
    if (!withLast) continue;
    wanted.push(start - 1);
    labels.push(0);
  }
  return { wanted, labels, ends };
}

/** Cuts sequences into batches of no more tokens than are read at once. */
function batches<T extends { readonly ids: readonly number[] }>(sequences: readonly T[]): T[][] {
  const all: T[][] = [];
  let tokens = Infinity;
  for (const sequence of sequences) {
    tokens += sequence.ids.length;
    if (tokens > TOKENS_AT_ONCE) {
      all.push([]);
      tokens = sequence.ids.length;
    }
    all.at(-1)?.push(sequence);
  }
  return all;
}
