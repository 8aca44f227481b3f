import { at } from '../base/arrays.js';
import {
  differentiate,
  Graph,
  matmul,
  moveRows,
  multiply,
  reduceSum,
  reshape,
  type Tensor,
} from '../graph/index.js';
import {
  type DropoutMask,
  forward,
  type Gpt2Config,
  noDropout,
  parameterInputs,
  parameterLayout,
  raggedAttention,
  raggedLayoutInputs,
  raggedPlaces,
  trainingDropout,
} from '../model/index.js';
import {
  float32,
  floatsOf,
  hasFusedOperators,
  type HostTensor,
  type HostTensors,
  int64,
  Session,
  type SessionOptions,
} from '../runtime/index.js';
import { drawMasks } from './dropout-masks.js';
import { addRowGradients } from './loss-engine.js';
import { LOSS_SCALE, type LossGraph, outputGradients } from './loss-graph.js';
import { PAIR_LOSSES, pairLosses, type PairModel, type PairWeights } from './pair-model.js';
import type { RankingPair } from './ranking-pairs.js';

/** The weights of a ranking model, or their gradients: those of GPT-2 and of the head. */
export type RankingWeights = PairWeights & Required<Pick<PairWeights, 'score'>>;

/** The most tokens that go through the model at once; larger batches are cut into several. */
const TOKENS_AT_ONCE = 8192;

const HEAD = 'score';

/**
 * The pairwise loss of DialogRPT (its paper, section 3.2; `ScorerBase.forward` in model.py and
 * `Master.loss` in master.py): `−log(e^better / (e^better + e^worse))` of the heads at both
 * responses' last tokens. Sequences come in pairs, the better one first.
 *
 * Gradients are those of `loss_scale · Σ pair_losses`.
 */
function rankingGraph(config: Gpt2Config, gradients: boolean, fused: boolean): LossGraph {
  const graph = new Graph({ fused });
  const masks: DropoutMask[] = [];
  const parameter = parameterInputs(graph, config);
  const head = graph.input(HEAD, 'float32', [1, config.n_embd]);
  const tokens = {
    ids: graph.input('ids', 'int64', ['tokens']),
    positions: graph.input('positions', 'int64', ['tokens']),
  };
  const layout = raggedLayoutInputs(graph);
  const drop = gradients ? trainingDropout(masks) : noDropout;
  const move = {
    rows: graph.input('last', 'int64', ['rows']),
    origins: graph.input('last_origins', 'int64', ['tokens']),
    present: graph.input('last_present', 'float32', ['tokens', 1]),
  };
  const attention = raggedAttention(config, layout, drop);
  const select = (x: Tensor) => moveRows(x, move);
  const last = forward(config, parameter, tokens, attention, { drop, select });
  const scores = reshape(matmul(last, head, { transposeB: true }), ['pairs', 2]);
  const losses = pairLosses(scores);
  if (!gradients) return { graph, dense: [], rows: [], masks };
  const loss = multiply(reduceSum(losses), graph.input(LOSS_SCALE, 'float32', []));
  const names = [...parameterLayout(config).map(({ name }) => name), HEAD];
  const found = differentiate(
    loss,
    names.map((name) => (name === HEAD ? head : parameter(name))),
  );
  return { graph, ...outputGradients(graph, names, found), masks };
}

/** A ranking model ready to compute losses of pairs and, if made for it, gradients. */
export class RankingModel implements PairModel {
  readonly tokensAtOnce = TOKENS_AT_ONCE;
  readonly weights: RankingWeights;
  readonly #session: Session;
  readonly #graph: LossGraph;
  readonly #feeds: HostTensors;
  readonly #seed: number;
  /** How many batches dropout masks have been drawn for. */
  #draws: number;

  private constructor(
    weights: RankingWeights,
    session: Session,
    graph: LossGraph,
    seed: number,
    draws: number,
  ) {
    this.#seed = seed;
    this.#draws = draws;
    this.weights = weights;
    this.#session = session;
    this.#graph = graph;
    const { parameters, score } = weights;
    this.#feeds = {
      ...Object.fromEntries(
        parameters.layout.map((parameter) => [
          parameter.name,
          float32(parameters.view(parameter), parameter.shape),
        ]),
      ),
      [HEAD]: float32(score, [1, score.length]),
    };
  }

  /**
   * Makes a model; the weights' memory is used in place.
   *
   * @param gradients whether gradients are wanted, with dropout, or losses alone, without
   * @param options `draws` is how many batches dropout masks have been drawn for before
   */
  static async create(
    weights: RankingWeights,
    gradients: boolean,
    {
      seed = 0,
      draws = 0,
      ...options
    }: SessionOptions & { readonly seed?: number; readonly draws?: number } = {},
  ): Promise<RankingModel> {
    const fused = hasFusedOperators(options.device ?? 'cpu');
    const graph = rankingGraph(weights.parameters.config, gradients, fused);
    return new RankingModel(
      weights,
      await Session.create(graph.graph, options),
      graph,
      seed,
      draws,
    );
  }

  /** How many batches dropout masks have been drawn for. */
  get draws(): number {
    return this.#draws;
  }

  /** The loss of each pair. */
  async losses(pairs: readonly RankingPair[]): Promise<Float32Array> {
    const { feeds } = layOut(pairs);
    const outputs = await this.#session.run({ ...this.#feeds, ...feeds }, { [PAIR_LOSSES]: null });
    return floatsOf(outputs[PAIR_LOSSES]);
  }

  /**
   * Adds the gradient of `scale · Σ losses` to `gradients`.
   *
   * @returns the loss of each pair
   */
  async backward(
    pairs: readonly RankingPair[],
    scale: number,
    gradients: PairWeights,
  ): Promise<Float32Array> {
    const { score } = gradients;
    if (score === undefined) throw new Error('The gradients have no place for those of the head.');
    const { feeds: places, lookups } = layOut(pairs);
    const feeds: Record<string, HostTensor> = {
      ...this.#feeds,
      ...places,
      ...drawMasks(this.#graph, places, { seed: this.#seed, draw: this.#draws++ }),
      [LOSS_SCALE]: float32(Float32Array.of(scale), []),
    };
    const fetches: Record<string, HostTensor | null> = { [PAIR_LOSSES]: null };
    const viewOf = (name: string) => {
      if (name === HEAD) return { values: score, shape: [1, score.length] };
      const parameter = gradients.parameters.layout.find((known) => known.name === name);
      if (parameter === undefined) throw new Error(`The model has no parameter ${name}.`);
      return { values: gradients.parameters.view(parameter), shape: parameter.shape };
    };
    for (const name of this.#graph.dense) {
      const { values, shape } = viewOf(name);
      const tensor = float32(values, shape);
      feeds[`accumulated.${name}`] = tensor;
      fetches[`gradient.${name}`] = tensor;
    }
    for (const { values } of this.#graph.rows) fetches[values] = null;
    const outputs = await this.#session.run(feeds, fetches);
    addRowGradients(this.#graph.rows, outputs, lookups, (name) => viewOf(name).values);
    return floatsOf(outputs[PAIR_LOSSES]);
  }

  /** Frees what the session holds outside of JavaScript's memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/** Pairs laid out for the graph: flat, without padding but in attention. */
function layOut(pairs: readonly RankingPair[]): {
  readonly feeds: HostTensors;
  readonly lookups: Readonly<Record<string, Int32Array>>;
} {
  const sequences = pairs.flatMap(({ better, worse }) => [better, worse]);
  const { time, positions, padded, flat, present, mask } = raggedPlaces(
    sequences.map(({ length }) => length),
  );
  const tokens = positions.length;
  const ids = Int32Array.from(sequences.flat());
  const last = new Int32Array(sequences.length);
  const origins = new Int32Array(tokens);
  const isLast = new Float32Array(tokens);
  let end = 0;
  for (let row = 0; row < sequences.length; row++) {
    end += at(sequences, row).length;
    last[row] = end - 1;
    origins[end - 1] = row;
    isLast[end - 1] = 1;
  }
  return {
    lookups: { ids, positions },
    feeds: {
      ids: int64(ids, [tokens]),
      positions: int64(positions, [tokens]),
      padded: int64(padded, [sequences.length, time]),
      padded_list: int64(padded, [padded.length]),
      flat: int64(flat, [tokens]),
      present: float32(present, [padded.length, 1]),
      mask: float32(mask, [time, time]),
      last: int64(last, [last.length]),
      last_origins: int64(origins, [tokens]),
      last_present: float32(isLast, [tokens, 1]),
    },
  };
}
