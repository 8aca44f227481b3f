import { at } from '../base/arrays.js';
import { type Example, IGNORED_LABEL } from '../dataset/index.js';
import {
  add,
  differentiate,
  Graph,
  matmul,
  multiply,
  reduceSum,
  reshape,
  scale,
  subtract,
} from '../graph/index.js';
import {
  type DropoutMask,
  type Gpt2Config,
  headSlices,
  noDropout,
  parameterInputs,
  parameterLayout,
  Parameters,
  trainingDropout,
} from '../model/index.js';
import {
  float32,
  floatsOf,
  hasFusedOperators,
  type HostTensor,
  type HostTensors,
  Session,
  type SessionOptions,
} from '../runtime/index.js';
import { type Batch, makeBatch } from './batch.js';
import { drawMasks } from './dropout-masks.js';
import { addRowGradients, ParameterTensors } from './loss-engine.js';
import {
  batchLosses,
  headSliceInputs,
  LOSS_SCALE,
  type LossGraph,
  outputGradients,
} from './loss-graph.js';
import {
  cutByTokens,
  PAIR_LOSSES,
  pairLosses,
  type PairModel,
  type PairWeights,
} from './pair-model.js';
import type { RankingPair } from './ranking-pairs.js';

/** As many as `LossModel` computes together: the head puts out a number for each word of the vocabulary. */
const TOKENS_AT_ONCE = 1280;

const RESPONSE_LOSSES = 'response_losses';

/** The loss of a {@link PreferenceModel}. */
export interface PreferenceLoss {
  /** How far the model may move away from where it started: the less, the further. */
  readonly beta: number;
  /** The weight of the better response's own loss, the mean over its tokens. */
  readonly rpoAlpha: number;
}

/**
 * The loss of direct preference optimization (Rafailov et al. 2023, equation 7):
 * `−log σ(β · (gain of the better response − gain of the worse one))`, where a gain is by how much the
 * log-likelihood of a whole response is above that by the reference, the model that was started
 * from; and with `rpoAlpha` the better response's mean loss besides (Pang et al. 2024, equation 2).
 * Sequences come in pairs, the better one first.
 *
 * Gradients are those of `loss_scale · Σ pair_losses`.
 */
function preferenceGraph(
  config: Gpt2Config,
  { beta, rpoAlpha }: PreferenceLoss,
  gradients: boolean,
  fused: boolean,
): LossGraph {
  const graph = new Graph({ fused });
  const masks: DropoutMask[] = [];
  const parameter = parameterInputs(graph, config);
  const slices = headSliceInputs(graph, config);
  const labelLosses = batchLosses(graph, config, parameter, {
    tokenTypes: false,
    drop: gradients ? trainingDropout(masks) : noDropout,
    slices: [...slices.values()],
  });
  const column = reshape(labelLosses, ['labels', 1]);
  const ofResponse = graph.input('of_response', 'float32', ['batch', 'labels']);
  const responseLosses = matmul(ofResponse, column);
  graph.output(RESPONSE_LOSSES, responseLosses);
  const gains = subtract(graph.input('reference', 'float32', ['batch', 1]), responseLosses);
  const losses = pairLosses(reshape(scale(gains, beta), ['pairs', 2]));
  if (!gradients) return { graph, dense: [], rows: [], masks };

  const likelihood = matmul(graph.input('of_better', 'float32', ['batch', 'labels']), column);
  const whole = add(reduceSum(losses), scale(reduceSum(likelihood), rpoAlpha));
  const loss = multiply(whole, graph.input(LOSS_SCALE, 'float32', []));
  const trained = new Map([
    ...parameterLayout(config).map(({ name }) => [name, parameter(name)] as const),
    ...slices,
  ]);
  const found = differentiate(loss, [...trained.values()]);
  return { graph, ...outputGradients(graph, [...trained.keys()], found), masks };
}

/** How a {@link PreferenceModel} is made. */
export interface PreferenceModelOptions extends SessionOptions, PreferenceLoss {
  /** The token that ends a turn. */
  readonly endOfText: number;
  /** The losses of both responses of each pair by the reference; see {@link referenceLosses}. */
  readonly reference: ReferenceLosses;
  readonly seed: number;
  /** How many batches dropout masks have been drawn for before. */
  readonly draws: number;
}

/** The negative log-likelihood of the better and of the worse response, by pair. */
export type ReferenceLosses = ReadonlyMap<RankingPair, readonly [number, number]>;

/** A language model ready to compute preference losses of pairs and, if made for it, gradients. */
export class PreferenceModel implements PairModel {
  readonly tokensAtOnce = TOKENS_AT_ONCE;
  readonly #session: Session;
  readonly #graph: LossGraph;
  readonly #weights: HostTensors;
  readonly #options: PreferenceModelOptions;
  #draws: number;

  private constructor(
    parameters: Parameters,
    session: Session,
    graph: LossGraph,
    options: PreferenceModelOptions,
  ) {
    this.#session = session;
    this.#graph = graph;
    this.#weights = new ParameterTensors(parameters, headSlices(parameters.config)).all;
    this.#options = options;
    this.#draws = options.draws;
  }

  /**
   * Makes a model; the weights' memory is used in place.
   *
   * @param gradients whether gradients are wanted, with dropout, or losses alone, without
   */
  static async create(
    parameters: Parameters,
    gradients: boolean,
    options: PreferenceModelOptions,
  ): Promise<PreferenceModel> {
    const fused = hasFusedOperators(options.device ?? 'cpu');
    const graph = preferenceGraph(parameters.config, options, gradients, fused);
    return new PreferenceModel(
      parameters,
      await Session.create(graph.graph, options),
      graph,
      options,
    );
  }

  get draws(): number {
    return this.#draws;
  }

  async losses(pairs: readonly RankingPair[]): Promise<Float32Array> {
    const { feeds } = this.#layOut(pairs);
    const outputs = await this.#session.run(
      { ...this.#weights, ...feeds },
      { [PAIR_LOSSES]: null },
    );
    return floatsOf(outputs[PAIR_LOSSES]);
  }

  /**
   * The negative log-likelihood of each response, end of text included: `[2 · pairs]`, each pair's
   * better one first.
   */
  async responseLosses(pairs: readonly RankingPair[]): Promise<Float32Array> {
    const { feeds } = this.#layOut(pairs);
    const fetches = { [RESPONSE_LOSSES]: null };
    const outputs = await this.#session.run({ ...this.#weights, ...feeds }, fetches);
    return floatsOf(outputs[RESPONSE_LOSSES]);
  }

  async backward(
    pairs: readonly RankingPair[],
    factor: number,
    gradients: PairWeights,
  ): Promise<Float32Array> {
    const { feeds: places, batch } = this.#layOut(pairs);
    const draw = { seed: this.#options.seed, draw: this.#draws++ };
    const feeds: Record<string, HostTensor> = {
      ...this.#weights,
      ...places,
      of_better: meanOfBetter(batch),
      ...drawMasks(this.#graph, batch.feeds, draw),
      [LOSS_SCALE]: float32(Float32Array.of(factor), []),
    };
    const { parameters } = gradients;
    const accumulated = new ParameterTensors(parameters, headSlices(parameters.config));
    const fetches: Record<string, HostTensor | null> = { [PAIR_LOSSES]: null };
    for (const name of this.#graph.dense) {
      feeds[`accumulated.${name}`] = accumulated.of(name);
      fetches[`gradient.${name}`] = accumulated.of(name);
    }
    for (const { values } of this.#graph.rows) fetches[values] = null;
    const outputs = await this.#session.run(feeds, fetches);
    addRowGradients(this.#graph.rows, outputs, batch.lookups, (name) =>
      floatsOf(accumulated.of(name)),
    );
    return floatsOf(outputs[PAIR_LOSSES]);
  }

  #layOut(pairs: readonly RankingPair[]): { readonly batch: Batch; readonly feeds: HostTensors } {
    const { endOfText, reference } = this.#options;
    const batch = makeBatch(
      pairs.flatMap(({ better, worse, start }) => [
        responseExample(better, start, endOfText),
        responseExample(worse, start, endOfText),
      ]),
    );
    const before = pairs.flatMap((pair) => [...(reference.get(pair) ?? [0, 0])]);
    return {
      batch,
      feeds: {
        ...batch.feeds,
        of_response: labelsOfRows(batch, () => 1),
        reference: float32(Float32Array.from(before), [before.length, 1]),
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/**
 * Measures pairs by a model as it is now, the reference of what it will become.
 *
 * @returns undefined if the signal came before all were measured.
 */
export async function referenceLosses(
  model: PreferenceModel,
  pairs: readonly RankingPair[],
  {
    signal,
    onReference,
  }: {
    readonly signal?: AbortSignal;
    readonly onReference?: (measured: number) => void;
  } = {},
): Promise<ReferenceLosses | undefined> {
  const known = new Map<RankingPair, readonly [number, number]>();
  for (const part of cutByTokens(pairs, model.tokensAtOnce)) {
    const losses = await model.responseLosses(part);
    for (const [index, pair] of part.entries()) {
      known.set(pair, [at(losses, 2 * index), at(losses, 2 * index + 1)]);
    }
    onReference?.(known.size);
    if (signal?.aborted === true) return undefined;
  }
  return known;
}

/** A sequence of which the response and the end of text after it are to be predicted. */
function responseExample(sequence: readonly number[], start: number, endOfText: number): Example {
  const inputIds = Int32Array.from(sequence);
  const labels = inputIds.map((_, position) =>
    position < start - 1 ? IGNORED_LABEL : (sequence[position + 1] ?? endOfText),
  );
  const { length } = inputIds;
  return {
    inputIds,
    labels,
    tokenTypeIds: new Int32Array(length),
    weights: new Float32Array(length),
  };
}

/** `[batch, labels]`: a value where a label belongs to a row, else 0. */
function labelsOfRows(
  { size, labels, labelRows }: Batch,
  valueOf: (row: number) => number,
): HostTensor {
  const width = labels.length;
  const values = new Float32Array(size * width);
  for (let label = 0; label < width; label++) {
    const row = at(labelRows, label);
    values[row * width + label] = valueOf(row);
  }
  return float32(values, [size, width]);
}

/** Weights that give the mean over the labels of each better response. */
function meanOfBetter(batch: Batch): HostTensor {
  const counts = new Int32Array(batch.size);
  for (const row of batch.labelRows) counts[row] = at(counts, row) + 1;
  return labelsOfRows(batch, (row) => (row % 2 === 0 ? 1 / at(counts, row) : 0));
}
