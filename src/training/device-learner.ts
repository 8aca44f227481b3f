import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import { Graph, type Shape } from '../graph/index.js';
import { ParameterBuffer, type Parameters } from '../model/index.js';
import {
  type Device,
  float32,
  floatsOf,
  hasFusedOperators,
  hasHalfPrecision,
  type HostTensor,
  type HostTensors,
  Session,
} from '../runtime/index.js';
import type { Batch } from './batch.js';
import { adamRowFeeds, deviceAdamGraph, UPDATE } from './device-adam.js';
import {
  DEVICE,
  type DeviceGraph,
  deviceGradientGraph,
  deviceLayout,
  deviceLossGraph,
} from './device-graphs.js';
import { mixingFeeds, namedLengths } from './dropout-masks.js';
import type { FlatLayout } from './flat-layout.js';
import type { Learner, Moments, UpdateReport } from './learner.js';
import { LABEL_LOSSES, LOSS_SCALE } from './loss-graph.js';
import { LossScale, type LossScaleState } from './loss-scale.js';
import { type AdamOptions, completeAdamOptions } from './optimizer.js';
import { rowSumFeeds } from './row-sums.js';

/** How a {@link DeviceLearner} is made. */
export interface DeviceLearnerOptions {
  readonly device: Device;
  readonly threads?: number | undefined;
  /** Whether token-type ids are read and their embeddings added. */
  readonly tokenTypes?: boolean;
  /** Where the drawing of dropout masks starts; 0. */
  readonly seed?: number;
  readonly adam?: AdamOptions | undefined;
  /** Whether to compute in half precision where that is enough, with weights in single. */
  readonly half?: boolean;
  /** The static scale of the loss in half precision; 0: dynamic. */
  readonly lossScale?: number | undefined;
  /** What to go on with. */
  readonly moments?: Moments | undefined;
  readonly lossScaleState?: LossScaleState | undefined;
}

interface Sessions {
  readonly upload: Session;
  readonly download: Session;
  readonly downloadLosses: Session;
  readonly gradient: Session;
  readonly loss: Session;
  readonly update: Session;
}

/** What the device holds from step to step, each `[rows, FLAT_ROW]`. */
interface Held {
  readonly weights: HostTensor;
  readonly firstMoments: HostTensor;
  readonly secondMoments: HostTensor;
}

/** The losses of a batch that the device still holds. */
interface PendingLosses {
  readonly tensor: HostTensor;
  /** How many of them are of labels; behind them are those that fill up. */
  readonly labels: number;
}

const VALUE = 'value';
const COPY = 'copy';

/**
 * Keeps weights, gradients and moments on a device. To it go only batches and a few numbers; from it
 * come, at the end of a step, the losses and the norm of the gradients, for which the device is
 * waited for once. (The same graphs run on the CPU, where they are slower than its own.)
 */
export class DeviceLearner implements Learner {
  // A GPU's products read four numbers at once where lengths allow it, and buffers are kept for
  // lengths that come again.
  readonly rounding = { time: 8, tokens: 128, labels: 128 };
  readonly #parameters: Parameters;
  readonly #layout: FlatLayout;
  readonly #graph: DeviceGraph;
  readonly #sessions: Sessions;
  readonly #seed: number;
  readonly #scale: LossScale | undefined;
  /** Stays as it is: zeros, and what the optimizer knows of the rows. */
  readonly #zeros: HostTensor;
  readonly #rowFeeds: HostTensors;
  #held: Held;
  #gradients: HostTensor;
  #losses: PendingLosses[] = [];

  private constructor(
    parameters: Parameters,
    layout: FlatLayout,
    graph: DeviceGraph,
    sessions: Sessions,
    options: DeviceLearnerOptions,
    held: Held & { readonly zeros: HostTensor; readonly rowFeeds: HostTensors },
  ) {
    this.#parameters = parameters;
    this.#layout = layout;
    this.#graph = graph;
    this.#sessions = sessions;
    this.#seed = options.seed ?? 0;
    this.#scale =
      options.half === true
        ? new LossScale(options.lossScale ?? 0, options.lossScaleState)
        : undefined;
    this.#held = held;
    this.#zeros = held.zeros;
    this.#gradients = held.zeros;
    this.#rowFeeds = held.rowFeeds;
  }

  /**
   * Prepares the graphs, and brings weights and moments to the device.
   *
   * @throws UserError if the device cannot be had, or has no half precision.
   */
  static async create(
    parameters: Parameters,
    options: DeviceLearnerOptions,
  ): Promise<DeviceLearner> {
    const { device, threads, tokenTypes = false, half = false, moments } = options;
    if (half && !(await hasHalfPrecision(device))) {
      throw new UserError(
        `--fp16: this GPU, or its driver, does not compute in half precision (WebGPU's shader-f16); leave out --fp16 to train in fp32.`,
      );
    }
    const { config } = parameters;
    const adam = completeAdamOptions(options.adam);
    const layout = deviceLayout(config);
    const fused = hasFusedOperators(device);
    const build = { tokenTypes, half, fused };
    const session = (graph: Graph, kept: readonly string[]) =>
      Session.create(graph, { device, kept, ...(threads === undefined ? {} : { threads }) });
    const gradient = deviceGradientGraph(config, layout, build);
    const sessions: Sessions = {
      upload: await session(copyGraph(['rows', 'columns']), [COPY]),
      download: await session(copyGraph(['rows', 'columns']), []),
      downloadLosses: await session(copyGraph(['labels']), []),
      gradient: await session(gradient.graph, [LABEL_LOSSES, DEVICE.gradients]),
      loss: await session(deviceLossGraph(config, layout, build).graph, []),
      update: await session(deviceAdamGraph(layout, adam, fused), [
        UPDATE.newWeights,
        UPDATE.newFirstMoments,
        UPDATE.newSecondMoments,
      ]),
    };
    const upload = (tensor: HostTensor) => copy(sessions.upload, tensor);
    const flat = (values?: ParameterBuffer) => {
      const numbers = values === undefined ? undefined : layout.pack(values);
      return upload(
        float32(numbers ?? new Float32Array(layout.rows * layout.shape[1]), layout.shape),
      );
    };
    const rowFeeds: Record<string, HostTensor> = {};
    for (const [name, feed] of Object.entries(adamRowFeeds(layout, adam))) {
      rowFeeds[name] = await upload(feed);
    }
    return new DeviceLearner(parameters, layout, gradient, sessions, options, {
      weights: await flat(parameters),
      firstMoments: await flat(moments?.firstMoments),
      secondMoments: await flat(moments?.secondMoments),
      zeros: await flat(),
      rowFeeds,
    });
  }

  get lossScale(): LossScaleState | undefined {
    return this.#scale?.state;
  }

  async backward(batch: Batch, scale: number, draw: number): Promise<void> {
    const { graph, words, tables } = this.#graph;
    const lengths = namedLengths(graph, batch.feeds);
    const factor = scale * (this.#scale?.state.lossScale ?? 1);
    const outputs = await this.#sessions.gradient.run(
      {
        ...batch.feeds,
        ...mixingFeeds(words, lengths, { seed: this.#seed, draw }),
        ...Object.fromEntries(
          tables.flatMap(({ name, rows, lookups }) =>
            Object.entries(rowSumFeeds(name, rows, rowsOf(lookups, batch))),
          ),
        ),
        [LOSS_SCALE]: labelScales(batch, factor),
        [DEVICE.weights]: this.#held.weights,
        [DEVICE.accumulated]: this.#gradients,
      },
      { [LABEL_LOSSES]: null, [DEVICE.gradients]: null },
    );
    this.#setGradients(given(outputs, DEVICE.gradients));
    const tensor = given(outputs, LABEL_LOSSES);
    this.#losses.push({ tensor, labels: batch.labels.length });
  }

  async update(learningRate: number): Promise<UpdateReport> {
    const unscale = 1 / (this.#scale?.state.lossScale ?? 1);
    const before = this.#held;
    const outputs = await this.#sessions.update.run(
      {
        ...this.#rowFeeds,
        [UPDATE.weights]: before.weights,
        [UPDATE.firstMoments]: before.firstMoments,
        [UPDATE.secondMoments]: before.secondMoments,
        [UPDATE.gradients]: this.#gradients,
        [UPDATE.rate]: float32(Float32Array.of(learningRate), []),
        [UPDATE.unscale]: float32(Float32Array.of(unscale), []),
      },
      {
        [UPDATE.newWeights]: null,
        [UPDATE.newFirstMoments]: null,
        [UPDATE.newSecondMoments]: null,
        [UPDATE.squares]: null,
      },
    );
    const after: Held = {
      weights: given(outputs, UPDATE.newWeights),
      firstMoments: given(outputs, UPDATE.newFirstMoments),
      secondMoments: given(outputs, UPDATE.newSecondMoments),
    };
    const gradientNorm = Math.sqrt(at(floatsOf(outputs[UPDATE.squares]), 0)) * unscale;
    // What overflowed was computed, but is not taken.
    const skipped = this.#scale !== undefined && !Number.isFinite(gradientNorm);
    dispose(skipped ? after : before);
    if (!skipped) this.#held = after;
    this.#scale?.update(skipped);
    this.#setGradients(this.#zeros);
    const losses: Float32Array[] = [];
    for (const { tensor, labels } of this.#losses) {
      const all = floatsOf(await copy(this.#sessions.downloadLosses, tensor));
      losses.push(answered(all.subarray(0, labels)));
      release(tensor);
    }
    this.#losses = [];
    return { losses, gradientNorm, skipped };
  }

  async losses(batch: Batch): Promise<Float32Array> {
    const { feeds, labels } = batch;
    const outputs = await this.#sessions.loss.run(
      { ...feeds, [DEVICE.weights]: this.#held.weights },
      { [LABEL_LOSSES]: null },
    );
    return answered(floatsOf(outputs[LABEL_LOSSES]).subarray(0, labels.length));
  }

  async collectWeights(): Promise<void> {
    await this.#collect(this.#held.weights, this.#parameters);
  }

  async collectMoments(): Promise<Moments> {
    const { layout } = this.#parameters;
    const moments = {
      firstMoments: new ParameterBuffer(layout),
      secondMoments: new ParameterBuffer(layout),
    };
    await this.#collect(this.#held.firstMoments, moments.firstMoments);
    await this.#collect(this.#held.secondMoments, moments.secondMoments);
    return moments;
  }

  async #collect(tensor: HostTensor, into: ParameterBuffer): Promise<void> {
    const flat = await copy(this.#sessions.download, tensor);
    this.#layout.unpack(floatsOf(flat), into);
  }

  #setGradients(gradients: HostTensor): void {
    if (this.#gradients !== this.#zeros) release(this.#gradients);
    this.#gradients = gradients;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#setGradients(this.#zeros);
    dispose(this.#held);
    for (const { tensor } of this.#losses) release(tensor);
    for (const tensor of [this.#zeros, ...Object.values(this.#rowFeeds)]) {
      release(tensor);
    }
    const { upload, download, downloadLosses, gradient, loss, update } = this.#sessions;
    for (const session of [gradient, loss, update, downloadLosses, download, upload]) {
      await session[Symbol.asyncDispose]();
    }
  }
}

/** A graph that copies what it is fed: to the device, or from it. */
function copyGraph(shape: Shape): Graph {
  const graph = new Graph();
  graph.output(COPY, graph.input(VALUE, 'float32', shape));
  return graph;
}

async function copy(session: Session, tensor: HostTensor): Promise<HostTensor> {
  return given(await session.run({ [VALUE]: tensor }, { [COPY]: null }), COPY);
}

/**
 * Losses as they are, if they can be. A device that has failed, for want of memory for example, only
 * writes a message and goes on with buffers of zeros, and no loss of a token is exactly 0.
 *
 * @throws UserError if all of them are 0.
 */
export function answered(losses: Float32Array): Float32Array {
  if (losses.length > 0 && losses.every((loss) => loss === 0)) {
    throw new UserError(
      'The GPU has failed, most likely for want of memory: all that came back is 0. Go on from the last checkpoint with --continue-from, or start anew, with a smaller --train-batch-size and more --gradient-accumulation-steps.',
    );
  }
  return losses;
}

/** What each loss is multiplied by: those that only fill up, by nothing. */
function labelScales({ feeds, labels }: Batch, factor: number): HostTensor {
  const [seen = 0] = feeds.labels?.dims ?? [];
  return float32(new Float32Array(seen).fill(factor, 0, labels.length), [seen]);
}

function rowsOf(lookups: readonly string[], batch: Batch): Int32Array {
  const lists = lookups.map((name) => {
    const rows = batch.lookups[name];
    if (rows === undefined) throw new Error(`The batch has no rows ${name}.`);
    return rows;
  });
  const all = new Int32Array(lists.reduce((total, { length }) => total + length, 0));
  let place = 0;
  for (const list of lists) {
    all.set(list, place);
    place += list.length;
  }
  return all;
}

function given(tensors: HostTensors, name: string): HostTensor {
  const tensor = tensors[name];
  if (tensor === undefined) throw new Error(`The graph put out no ${name}.`);
  return tensor;
}

function dispose({ weights, firstMoments, secondMoments }: Held): void {
  for (const tensor of [weights, firstMoments, secondMoments]) release(tensor);
}

/** Frees the memory of a tensor on a device; on the CPU, memory is collected. */
function release(tensor: HostTensor): void {
  if (tensor.location === 'gpu-buffer') tensor.dispose();
}
