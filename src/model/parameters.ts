import type { Random } from '../base/random.js';
import { type Gpt2Config, innerWidth } from './config.js';

/** One parameter tensor and its place in the buffer that holds all of them. */
export interface Parameter {
  /** Hugging Face's name in `GPT2LMHeadModel`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** The first element's place in the buffer. */
  readonly offset: number;
  readonly length: number;
}

/** The names of the two embedding tables. */
export const TOKEN_EMBEDDING = 'transformer.wte.weight';
export const POSITION_EMBEDDING = 'transformer.wpe.weight';

/** The name of a parameter of layer `layer`, such as `ln_1.weight`. */
export function layerParameter(layer: number, name: string): string {
  return `transformer.h.${layer}.${name}`;
}

/** The names and shapes of all parameters, in the order of the model's computation. */
export function parameterShapes(config: Gpt2Config): ReadonlyMap<string, readonly number[]> {
  const width = config.n_embd;
  const shapes = new Map<string, readonly number[]>([
    [TOKEN_EMBEDDING, [config.vocab_size, width]],
    [POSITION_EMBEDDING, [config.n_positions, width]],
  ]);
  const ofLayer = layerParameterShapes(config);
  for (let layer = 0; layer < config.n_layer; layer++) {
    for (const [name, shape] of ofLayer) shapes.set(layerParameter(layer, name), shape);
  }
  shapes.set('transformer.ln_f.weight', [width]);
  shapes.set('transformer.ln_f.bias', [width]);
  return shapes;
}

/** The names within a layer, and shapes, of each layer's parameters. */
export function layerParameterShapes(config: Gpt2Config): ReadonlyMap<string, readonly number[]> {
  const width = config.n_embd;
  const inner = innerWidth(config);
  return new Map<string, readonly number[]>([
    ['ln_1.weight', [width]],
    ['ln_1.bias', [width]],
    ['attn.c_attn.weight', [width, 3 * width]],
    ['attn.c_attn.bias', [3 * width]],
    ['attn.c_proj.weight', [width, width]],
    ['attn.c_proj.bias', [width]],
    ['ln_2.weight', [width]],
    ['ln_2.bias', [width]],
    ['mlp.c_fc.weight', [width, inner]],
    ['mlp.c_fc.bias', [inner]],
    ['mlp.c_proj.weight', [inner, width]],
    ['mlp.c_proj.bias', [width]],
  ]);
}

/** The places of all parameters in one buffer. */
export function parameterLayout(config: Gpt2Config): readonly Parameter[] {
  return layoutOf([...parameterShapes(config)]);
}

/** The places of tensors that lie one after the other in one buffer. */
export function layoutOf(
  shapes: readonly (readonly [string, readonly number[]])[],
): readonly Parameter[] {
  let offset = 0;
  return shapes.map(([name, shape]) => {
    const length = shape.reduce((product, dimension) => product * dimension, 1);
    const parameter = { name, shape, offset, length };
    offset += length;
    return parameter;
  });
}

/**
 * The rows that the head multiplies by at once: the gradient of so many fits into a processor's second
 * cache, and the product that makes it is a third faster than one for all rows of GPT-2's.
 */
const HEAD_ROWS = 2096;

/**
 * The token embedding cut into groups of rows, each as a parameter of its own that lies in the memory of
 * the embedding; none where it is not much larger than a group.
 */
export function headSlices(config: Gpt2Config): readonly Parameter[] {
  const embedding = parameterLayout(config).find(({ name }) => name === TOKEN_EMBEDDING);
  const [rows = 0, width = 0] = embedding?.shape ?? [];
  if (embedding === undefined || rows < 2 * HEAD_ROWS) return [];
  const slices: Parameter[] = [];
  for (let first = 0; first < rows; first += HEAD_ROWS) {
    const last = Math.min(first + HEAD_ROWS, rows);
    slices.push({
      name: `${TOKEN_EMBEDDING}[${first}:${last}]`,
      shape: [last - first, width],
      offset: embedding.offset + first * width,
      length: (last - first) * width,
    });
  }
  return slices;
}

/** The number of parameters of a model. */
export function parameterCount(config: Gpt2Config): number {
  return parameterLayout(config).reduce((total, { length }) => total + length, 0);
}

/**
 * One number for each of some parameters, in one contiguous buffer: their values, or their
 * gradients, or an optimizer's moments.
 */
export class ParameterBuffer {
  readonly layout: readonly Parameter[];
  /** All parameters, one after the other in the order of {@link layout}. */
  readonly buffer: Float32Array;

  /** All zeros. */
  constructor(layout: readonly Parameter[]) {
    this.layout = layout;
    this.buffer = new Float32Array(layout.reduce((total, { length }) => total + length, 0));
  }

  /** The part of the buffer that belongs to one parameter; not a copy. */
  view({ offset, length }: Parameter): Float32Array {
    return this.buffer.subarray(offset, offset + length);
  }
}

/** One number for each parameter of a model. */
export class Parameters extends ParameterBuffer {
  readonly config: Gpt2Config;

  /** All zeros. */
  constructor(config: Gpt2Config) {
    super(parameterLayout(config));
    this.config = config;
  }

  /**
   * Fresh weights as Hugging Face's `_init_weights` draws them: normal with standard deviation
   * `initializer_range`, for the projections into the residual stream divided by √(2 n_layer);
   * biases 0, layer norms 1.
   */
  static initialize(config: Gpt2Config, random: Random): Parameters {
    const parameters = new Parameters(config);
    const deviation = config.initializer_range;
    for (const parameter of parameters.layout) {
      const values = parameters.view(parameter);
      if (parameter.shape.length === 1) {
        values.fill(parameter.name.endsWith('.weight') ? 1 : 0);
        continue;
      }
      const residual = parameter.name.endsWith('c_proj.weight');
      const spread = residual ? deviation / Math.sqrt(2 * config.n_layer) : deviation;
      for (let index = 0; index < values.length; index++) values[index] = spread * random.normal();
    }
    return parameters;
  }
}
