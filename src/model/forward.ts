import {
  add,
  cast,
  dropout,
  gather,
  gelu,
  type Graph,
  layerNormalization,
  linear,
  type Tensor,
} from '../graph/index.js';
import type { Gpt2Config } from './config.js';
import {
  layerParameter,
  parameterLayout,
  POSITION_EMBEDDING,
  TOKEN_EMBEDDING,
} from './parameters.js';

/** A model's parameters as tensors of a graph, by name. */
export type ParameterTensors = (name: string) => Tensor;

/** Declares all parameters as inputs of the graph, under their own names. */
export function parameterInputs(graph: Graph, config: Gpt2Config): ParameterTensors {
  const tensors = new Map(
    parameterLayout(config).map(({ name, shape }) => [name, graph.input(name, 'float32', shape)]),
  );
  return (name) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`The model has no parameter ${name}.`);
    return tensor;
  };
}

/** What the model reads, each an `int64` tensor of one common shape `[…]`. */
export interface TokenInputs {
  readonly ids: Tensor;
  /** Each token's place in its own sequence, from 0. */
  readonly positions: Tensor;
  /** Token-type ids: rows of the token embedding to add, as GPT-2 does it. */
  readonly types?: Tensor;
}

/**
 * How tokens look at each other in one layer: takes queries, keys and values side by side
 * (`[…, 3 n_embd]`) and returns what each token gathered (`[…, n_embd]`). Everything else in the
 * model treats each token by itself, so training on ragged batches and decoding with a cache
 * differ in this function alone.
 */
export type Attention = (queriesKeysValues: Tensor, layer: number) => Tensor;

/**
 * What a layer takes for the product of `x` and one of its weights (`weight` is its name) in place
 * of the linear layer's own `projected`: an adapter adds to it.
 */
export type Projection = (weight: string, x: Tensor, projected: Tensor) => Tensor;

/** Takes the linear layers as they are. */
export const ownProjection: Projection = (_, __, projected) => projected;

/** Applies the model's dropout in training; outside of it, tensors pass as they are. */
export type Dropout = (x: Tensor, ratio: number) => Tensor;

/** Leaves out dropout, as everywhere but in training. */
export const noDropout: Dropout = (x) => x;

/** What the layers do besides. */
export interface LayerOptions {
  /** Dropout, as in training; none unless given. */
  readonly drop?: Dropout | undefined;
  readonly adapt?: Projection | undefined;
  /**
   * Takes the tokens whose states are wanted, all unless given. The last layer computes them alone:
   * its attention looks at all tokens, and what comes behind it treats each by itself.
   */
  readonly select?: ((x: Tensor) => Tensor) | undefined;
}

/** A mask that a graph with dropout takes as an input: false where an element is dropped. */
export interface DropoutMask {
  /** `bool`, of the shape of what it masks. */
  readonly input: Tensor;
  /** The share of elements to drop. */
  readonly ratio: number;
}

/** Dropout as in training: each place's mask is an input of the graph and noted in `masks`. */
export function trainingDropout(masks: DropoutMask[]): Dropout {
  return (x, ratio) => {
    if (ratio === 0) return x;
    const input = x.graph.input(`dropout.${masks.length}`, 'bool', x.shape);
    masks.push({ input, ratio });
    return dropout(x, input, ratio);
  };
}

/**
 * GPT-2 up to the hidden states that the head reads (Radford et al. 2019, section 2.3): embeddings,
 * pre-normalised layers, and a last layer norm.
 *
 * @returns `[…, n_embd]`, or of the selected tokens
 */
export function forward(
  config: Gpt2Config,
  parameter: ParameterTensors,
  tokens: TokenInputs,
  attention: Attention,
  options: LayerOptions = {},
): Tensor {
  const x = throughLayers(config, parameter, tokens, attention, options);
  return lastNormalization(config, parameter, x);
}

/** {@link forward} without the last layer norm. */
export function throughLayers(
  config: Gpt2Config,
  parameter: ParameterTensors,
  tokens: TokenInputs,
  attention: Attention,
  { drop = noDropout, adapt = ownProjection, select }: LayerOptions = {},
): Tensor {
  let x = embed(config, parameter, tokens, drop);
  for (let layer = 0; layer < config.n_layer; layer++) {
    const own = (name: string) => parameter(layerParameter(layer, name));
    x = transformerLayer(config, own, x, (input) => attention(input, layer), {
      drop,
      adapt: (weight, input, projected) => adapt(layerParameter(layer, weight), input, projected),
      select: layer === config.n_layer - 1 ? select : undefined,
    });
  }
  return x;
}

/** The embeddings of tokens and their positions, added: `[…, n_embd]`. */
export function embed(
  config: Gpt2Config,
  parameter: ParameterTensors,
  tokens: TokenInputs,
  drop: Dropout = noDropout,
): Tensor {
  const embedding = parameter(TOKEN_EMBEDDING);
  const positions = gather(parameter(POSITION_EMBEDDING), tokens.positions);
  const lookUp = (rows: Tensor) => cast(gather(embedding, rows), positions.type);
  let x = add(lookUp(tokens.ids), positions);
  if (tokens.types !== undefined) x = add(x, lookUp(tokens.types));
  return drop(x, config.embd_pdrop);
}

/**
 * One layer: attention and a feed-forward network, each added to what came in. Products are taken
 * in the precision of their weights; layer norms, and what goes from layer to layer, in that of `x`.
 *
 * @param own the layer's parameters by their names within it, such as `ln_1.weight`
 * @param x `[…, n_embd]`
 * @returns `[…, n_embd]`, or of the selected tokens
 */
export function transformerLayer(
  config: Gpt2Config,
  own: ParameterTensors,
  x: Tensor,
  attention: (queriesKeysValues: Tensor) => Tensor,
  { drop = noDropout, adapt = ownProjection, select = (all) => all }: LayerOptions = {},
): Tensor {
  const project = (name: string, input: Tensor) => {
    const weight = own(`${name}.weight`);
    const operand = cast(input, weight.type);
    return adapt(`${name}.weight`, operand, linear(operand, weight, own(`${name}.bias`)));
  };
  const into = (stream: Tensor, branch: Tensor) =>
    add(stream, cast(drop(branch, config.resid_pdrop), stream.type));
  const normalize = (name: string, input: Tensor) =>
    layerNormalization(
      input,
      own(`${name}.weight`),
      own(`${name}.bias`),
      config.layer_norm_epsilon,
    );

  const gathered = select(attention(project('attn.c_attn', normalize('ln_1', x))));
  const middle = into(select(x), project('attn.c_proj', gathered));
  const inner = gelu(project('mlp.c_fc', normalize('ln_2', middle)));
  return into(middle, project('mlp.c_proj', inner));
}

/** The layer norm after the last layer; what it gives, the head reads. */
export function lastNormalization(
  config: Gpt2Config,
  parameter: ParameterTensors,
  x: Tensor,
): Tensor {
  return layerNormalization(
    x,
    parameter('transformer.ln_f.weight'),
    parameter('transformer.ln_f.bias'),
    config.layer_norm_epsilon,
  );
}
