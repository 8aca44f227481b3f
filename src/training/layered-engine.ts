import { at, range } from '../base/arrays.js';
import {
  headSlices,
  layerParameter,
  type Parameter,
  type ParameterBuffer,
  type Parameters,
} from '../model/index.js';
import {
  float32,
  floatsOf,
  type HostTensor,
  type HostTensors,
  int64,
  Session,
} from '../runtime/index.js';
import type { Batch } from './batch.js';
import { drawMasks } from './dropout-masks.js';
import { embeddingGraph, headGraph, layerGraph, PART, type PartGraph } from './layered-graphs.js';
import {
  addRowGradients,
  type BatchDraw,
  type Lengths,
  lengthsOf,
  type LossEngine,
  type OnLayer,
  ParameterTensors,
  Scratch,
} from './loss-engine.js';
import { LABEL_LOSSES, LOSS_SCALE } from './loss-graph.js';

/** How a {@link LayeredEngine} is made. */
export interface LayeredEngineOptions {
  readonly threads?: number;
  readonly tokenTypes?: boolean;
  /** Where the drawing of dropout masks starts. */
  readonly seed?: number;
  /** The most labelled tokens that go through the head together; 1024. */
  readonly headRows?: number;
}

/** A part of the model, ready to run. */
interface Part extends PartGraph {
  readonly session: Session;
}

/** The parts that a step goes through, forward, at the head, and back. */
interface Parts {
  readonly embedding: Part;
  readonly layer: Part;
  readonly lastLayer: Part;
  readonly head: Part;
  readonly lastLayerBack: Part;
  readonly layerBack: Part;
  readonly embeddingBack: Part;
}

/** What a step works on. */
interface Step {
  readonly batch: Batch;
  readonly lengths: Lengths;
  readonly scale: number;
  readonly gradients: ParameterTensors;
}

/**
 * Computes losses and gradients part by part: the embeddings, the layers (one session serves all
 * of them), and the head on a limited number of labels at a time. Between the way forward and the
 * way back it keeps only what enters each layer; the way back computes each layer once more.
 */
export class LayeredEngine implements LossEngine {
  readonly #parameters: Parameters;
  readonly #weights: ParameterTensors;
  readonly #slices: readonly Parameter[];
  readonly #parts: Parts;
  readonly #headRows: number;
  readonly #seed: number;
  readonly #scratch = new Scratch();

  private constructor(parameters: Parameters, parts: Parts, headRows: number, seed: number) {
    this.#seed = seed;
    this.#parameters = parameters;
    this.#slices = headSlices(parameters.config);
    this.#weights = new ParameterTensors(parameters, this.#slices);
    this.#parts = parts;
    this.#headRows = headRows;
  }

  static async create(
    parameters: Parameters,
    options: LayeredEngineOptions = {},
  ): Promise<LayeredEngine> {
    const { config } = parameters;
    const { tokenTypes = false, seed = 0, headRows = 1024 } = options;
    const ready = async (part: PartGraph): Promise<Part> => ({
      ...part,
      session: await Session.create(part.graph, { ...options, inPlace: true }),
    });
    const parts: Parts = {
      embedding: await ready(embeddingGraph(config, 'forward', tokenTypes)),
      layer: await ready(layerGraph(config, 'forward', false)),
      lastLayer: await ready(layerGraph(config, 'forward', true)),
      head: await ready(headGraph(config)),
      lastLayerBack: await ready(layerGraph(config, 'back', true)),
      layerBack: await ready(layerGraph(config, 'back', false)),
      embeddingBack: await ready(embeddingGraph(config, 'back', tokenTypes)),
    };
    return new LayeredEngine(parameters, parts, headRows, seed);
  }

  losses(): Promise<Float32Array> {
    throw new Error('A layered model is made for training; evaluate with a whole one.');
  }

  async backward(
    batch: Batch,
    scale: number,
    gradients: ParameterBuffer,
    draw: BatchDraw,
    onLayer?: OnLayer,
  ): Promise<Float32Array> {
    const { embedding, layer, lastLayer, lastLayerBack, layerBack, embeddingBack } = this.#parts;
    const step: Step = {
      batch,
      lengths: lengthsOf(batch),
      scale,
      gradients: new ParameterTensors(gradients, this.#slices),
    };
    const layers = range(0, this.#parameters.config.n_layer);
    const isLast = (index: number) => index === layers.length - 1;
    const masksOf = (part: Part, firstPlace: number) =>
      drawMasks(part, batch.feeds, { seed: this.#seed, ...draw, firstPlace });

    const embedded = this.#state('hidden.0', step);
    const embeddingFeeds = { ...batch.feeds, ...masksOf(embedding, 0) };
    await this.#run(embedding, embeddingFeeds, { [PART.output]: embedded });
    const entered: HostTensors[] = [];
    let hidden = embedded;
    for (const index of layers) {
      const part = isLast(index) ? lastLayer : layer;
      const masks = masksOf(part, embedding.masks.length + index * layer.masks.length);
      const feeds = { ...batch.feeds, ...masks, [PART.input]: hidden };
      hidden = this.#state(`hidden.${index + 1}`, step, isLast(index) ? 'labels' : 'tokens');
      await this.#run(part, feeds, { [PART.output]: hidden }, index);
      entered.push(feeds);
    }

    let gradient = this.#state('head_gradient', step, 'labels');
    const losses = await this.#head(step, hidden, gradient);

    for (const index of layers.toReversed()) {
      const feeds = { ...at(entered, index), [PART.outputGradient]: gradient };
      // What comes in and what goes out take turns in two pieces of memory.
      const next = this.#state(`gradient.${index % 2}`, step);
      const part = isLast(index) ? lastLayerBack : layerBack;
      await this.#runBack(part, step, feeds, { [PART.inputGradient]: next }, { index });
      onLayer?.(index);
      gradient = next;
    }
    const feeds = { ...embeddingFeeds, [PART.outputGradient]: gradient };
    await this.#runBack(embeddingBack, step, feeds, {});
    return losses;
  }

  /** The losses of all labels; writes the gradient of their hidden states to `gradient`. */
  async #head(step: Step, hidden: HostTensor, gradient: HostTensor): Promise<Float32Array> {
    const { labels } = step.batch;
    const losses = new Float32Array(labels.length);
    const width = this.#parameters.config.n_embd;
    // In equal parts, because a row left over alone would be multiplied in another order.
    const parts = Math.ceil(labels.length / this.#headRows);
    const size = Math.ceil(labels.length / parts);
    for (let start = 0; start < labels.length; start += size) {
      const rows = { labels: labels.subarray(start, start + size) };
      const count = rows.labels.length;
      const lengths = { ...step.lengths, labels: count };
      const rowsOf = (states: HostTensor) =>
        float32(floatsOf(states).subarray(start * width, (start + count) * width), [count, width]);
      const feeds = {
        [PART.input]: rowsOf(hidden),
        labels: int64(rows.labels, [count]),
        [LOSS_SCALE]: float32(Float32Array.of(step.scale), []),
      };
      const outputs = {
        [LABEL_LOSSES]: float32(losses.subarray(start, start + size), [count]),
        [PART.inputGradient]: rowsOf(gradient),
      };
      await this.#runBack(this.#parts.head, { ...step, lengths }, feeds, outputs, { rows });
    }
    return losses;
  }

  /** Runs a part on the way back, adding to the gradients of its parameters. */
  async #runBack(
    part: Part,
    { batch, lengths, gradients }: Step,
    feeds: HostTensors,
    outputs: HostTensors,
    {
      index,
      rows = batch.lookups,
    }: {
      readonly index?: number;
      readonly rows?: Readonly<Record<string, Int32Array>>;
    } = {},
  ): Promise<void> {
    const gradientOf = (name: string) => gradients.of(fullName(name, index));
    const values = this.#scratch.rows(part.rows, lengths);
    const before = part.dense.map((name) => [`accumulated.${name}`, gradientOf(name)] as const);
    const after = part.dense.map((name) => [`gradient.${name}`, gradientOf(name)] as const);
    await this.#run(
      part,
      { ...feeds, ...Object.fromEntries(before) },
      { ...outputs, ...values, ...Object.fromEntries(after) },
      index,
    );
    addRowGradients(part.rows, values, rows, (name) => floatsOf(gradientOf(name)));
  }

  /** Runs a part with its parameters; `index` says which layer it is. */
  async #run(part: Part, feeds: HostTensors, fetches: HostTensors, index?: number): Promise<void> {
    const weights = part.parameters.map(
      (name) => [name, this.#weights.of(fullName(name, index))] as const,
    );
    await part.session.run({ ...Object.fromEntries(weights), ...feeds }, fetches);
  }

  #state(name: string, { lengths }: Step, rows: 'tokens' | 'labels' = 'tokens'): HostTensor {
    return this.#scratch.floats(name, [rows, this.#parameters.config.n_embd], lengths);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { session } of Object.values<Part>({ ...this.#parts })) {
      await session[Symbol.asyncDispose]();
    }
  }
}

function fullName(name: string, layer: number | undefined): string {
  return layer === undefined ? name : layerParameter(layer, name);
}
