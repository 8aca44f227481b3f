import type { Random } from '../base/random.js';
import { add, type Graph, matmul, type Tensor } from '../graph/index.js';
import type { Gpt2Config } from './config.js';
import type { Dropout, Projection } from './forward.js';
import {
  layerParameter,
  layoutOf,
  type Parameter,
  ParameterBuffer,
  type Parameters,
  parameterShapes,
} from './parameters.js';

/** The layers' products that an adapter may be laid beside, by their names within a layer. */
export const LORA_MODULES = ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'] as const;

/** What an adapter is like, apart from its numbers; the names are PEFT's. */
export interface LoraOptions {
  /** The inner width of the adapter's two factors. */
  readonly rank: number;
  /** What the adapter's product is multiplied by before it is divided by the rank. */
  readonly alpha: number;
  /** The share of an adapter's inputs that training drops. */
  readonly dropout: number;
  /** Names of modules, or ends of them after a dot: `c_attn`, `attn.c_proj`. */
  readonly targetModules: readonly string[];
  /** Whether the product is divided by the root of the rank instead (Kalajdzievski 2023). */
  readonly rankStabilized?: boolean;
}

/** A pair of factors beside one weight of the model. */
export interface LoraPair {
  /** The weight that they change. */
  readonly weight: string;
  /** `[rank, in]` */
  readonly a: Parameter;
  /** `[out, rank]` */
  readonly b: Parameter;
}

/**
 * A low-rank adapter (LoRA, Hu et al. 2021): beside a weight `W` of shape `[in, out]` two factors,
 * so that a layer computes `x W + scale · (x Aᵀ) Bᵀ`. Only the factors are trained.
 */
export class LoraAdapter extends ParameterBuffer {
  readonly options: LoraOptions;
  /** The model that it belongs to: a folder, or a name on the hub. */
  readonly base: string;
  readonly pairs: readonly LoraPair[];

  /**
   * All zeros: it changes nothing.
   *
   * @param weights the weights beside which it lies; by default those that its options name
   */
  constructor(
    config: Gpt2Config,
    options: LoraOptions,
    base: string,
    weights: readonly string[] = targetWeights(config, options.targetModules),
  ) {
    const shapes = parameterShapes(config);
    const factors = weights.flatMap((weight) => {
      const [rows = 0, columns = 0] = shapes.get(weight) ?? [];
      const module = weight.replace(/\.weight$/, '');
      return [
        [`${module}.lora_A.weight`, [options.rank, rows]],
        [`${module}.lora_B.weight`, [columns, options.rank]],
      ] as const;
    });
    super(layoutOf(factors));
    this.options = options;
    this.base = base;
    this.pairs = weights.flatMap((weight, index) => {
      const a = this.layout[2 * index];
      const b = this.layout[2 * index + 1];
      return a === undefined || b === undefined ? [] : [{ weight, a, b }];
    });
  }

  /**
   * A fresh adapter as PEFT draws it: A uniform within ±1/√in (Kaiming's rule with a = √5), B zero,
   * so that the model computes what it did before.
   */
  static initialize(
    config: Gpt2Config,
    options: LoraOptions,
    base: string,
    random: Random,
  ): LoraAdapter {
    const adapter = new LoraAdapter(config, options, base);
    for (const { a } of adapter.pairs) {
      const values = adapter.view(a);
      const bound = 1 / Math.sqrt(values.length / options.rank);
      for (let index = 0; index < values.length; index++) {
        values[index] = bound * (2 * random.uniform() - 1);
      }
    }
    return adapter;
  }

  /** What the product of the factors is multiplied by. */
  get scale(): number {
    const { alpha, rank, rankStabilized = false } = this.options;
    return alpha / (rankStabilized ? Math.sqrt(rank) : rank);
  }

  /** Adds the adapter to the weights that it belongs to, in place. */
  mergeInto(parameters: Parameters): void {
    const weights = new Map(parameters.layout.map((parameter) => [parameter.name, parameter]));
    for (const pair of this.pairs) {
      const weight = weights.get(pair.weight);
      if (weight === undefined) throw new Error(`The model has no parameter ${pair.weight}.`);
      this.addTo(parameters.view(weight), pair);
    }
  }

  /**
   * Adds one pair's `scale · (B A)ᵀ` to its weight; the sums are made in double precision.
   *
   * @param target the weight's elements from the one numbered `start` on, row by row
   */
  addTo(target: Float32Array, { a, b }: LoraPair, start = 0): void {
    const { rank } = this.options;
    const left = this.view(a);
    const right = transpose(this.view(b), rank);
    const rows = left.length / rank;
    const columns = right.length / rank;
    const line = new Float64Array(columns);
    const end = start + target.length;
    for (let row = Math.floor(start / columns); row * columns < end; row++) {
      line.fill(0);
      for (let inner = 0; inner < rank; inner++) {
        const factor = this.scale * (left[inner * rows + row] ?? 0);
        const from = inner * columns;
        for (let column = 0; column < columns; column++) {
          line[column] = (line[column] ?? 0) + factor * (right[from + column] ?? 0);
        }
      }
      const offset = row * columns - start;
      for (let column = Math.max(0, -offset); column < columns; column++) {
        const place = offset + column;
        if (place >= target.length) break;
        target[place] = (target[place] ?? 0) + (line[column] ?? 0);
      }
    }
  }
}

/** The transpose of a matrix of `width` columns, in double precision. */
function transpose(matrix: Float32Array, width: number): Float64Array {
  const rows = matrix.length / width;
  const result = new Float64Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) {
      result[column * rows + row] = matrix[row * width + column] ?? 0;
    }
  }
  return result;
}

/** The weights that names of modules mean: each name itself, or what ends in it after a dot. */
function targetWeights(config: Gpt2Config, targets: readonly string[]): string[] {
  const modules = targetedModules(targets);
  return Array.from({ length: config.n_layer }, (_, layer) =>
    modules.map((module) => layerParameter(layer, `${module}.weight`)),
  ).flat();
}

/** The modules of a layer that are meant by names, in the layer's order. */
export function targetedModules(targets: readonly string[]): string[] {
  return LORA_MODULES.filter((module) =>
    targets.some((target) => module === target || module.endsWith(`.${target}`)),
  );
}

/** Declares an adapter's factors as inputs of the graph, under their own names. */
export function loraInputs(graph: Graph, adapter: LoraAdapter): ReadonlyMap<string, Tensor> {
  return new Map(
    adapter.layout.map(({ name, shape }) => [name, graph.input(name, 'float32', shape)]),
  );
}

/** Adds what an adapter contributes to each projection beside which it lies. */
export function loraProjection(
  adapter: LoraAdapter,
  factors: ReadonlyMap<string, Tensor>,
  drop: Dropout,
): Projection {
  const pairs = new Map(adapter.pairs.map((pair) => [pair.weight, pair]));
  return (weight, x, projected) => {
    const pair = pairs.get(weight);
    const a = factors.get(pair?.a.name ?? '');
    const b = factors.get(pair?.b.name ?? '');
    if (a === undefined || b === undefined) return projected;
    const narrow = matmul(drop(x, adapter.options.dropout), a, { transposeB: true });
    return add(projected, matmul(narrow, b, { transposeB: true, alpha: adapter.scale }));
  };
}
