import { at } from '../base/arrays.js';
import { type Example, IGNORED_LABEL } from '../dataset/index.js';
import { raggedPlaces } from '../model/index.js';
import { float32, type HostTensors, int64 } from '../runtime/index.js';

/** Several examples laid out for the training graph: flat, without padding but in attention. */
export interface Batch {
  /** What was laid out, in order. */
  readonly examples: readonly Example[];
  /** The number of examples. */
  readonly size: number;
  /** The number of tokens of all examples. */
  readonly tokens: number;
  /** The number of places in the padded form that attention works on. */
  readonly places: number;
  /** The number of places of each example in that form. */
  readonly time: number;
  /** The flat tokens that have a label, in order: `[labels]`. */
  readonly labelled: Int32Array;
  /** The token to predict, for each labelled token in order: `[labels]`. */
  readonly labels: Int32Array;
  /** The example that each label belongs to: `[labels]`. */
  readonly labelRows: Int32Array;
  /** Rows of embedding tables that the graph looks up, by the name of the input. */
  readonly lookups: Readonly<Record<string, Int32Array>>;
  /** All inputs of the graph but the parameters. */
  readonly feeds: HostTensors;
}

/**
 * What lengths of a batch are multiples of: a device that keeps memory for each length it has met
 * then meets few. What is added is read by nothing, and adds nothing to any gradient.
 */
export interface BatchRounding {
  /** Of the padded form; 1. */
  readonly time?: number;
  /** Of the flat tokens; 1. */
  readonly tokens?: number;
  /** Of the labels that the graph sees; 1. */
  readonly labels?: number;
}

/**
 * Lays out examples as one batch.
 *
 * @param withTokenTypes whether the model adds token-type embeddings
 */
export function makeBatch(
  examples: readonly Example[],
  withTokenTypes = false,
  {
    time: timeMultiple = 1,
    tokens: tokenMultiple = 1,
    labels: labelMultiple = 1,
  }: BatchRounding = {},
): Batch {
  const { time, positions, padded, flat, present, mask } = raggedPlaces(
    examples.map(({ inputIds }) => inputIds.length),
    timeMultiple,
    tokenMultiple > 1,
  );
  const tokens = positions.length;
  const places = padded.length;
  const length = roundUp(tokens, tokenMultiple);

  const ids = new Int32Array(length);
  const types = new Int32Array(length);
  const labelOrigins = new Int32Array(length);
  const labelPresent = new Float32Array(length);
  const labelled: number[] = [];
  const labels: number[] = [];
  const labelRows: number[] = [];

  let token = 0;
  for (const [row, example] of examples.entries()) {
    for (let position = 0; position < example.inputIds.length; position++) {
      ids[token] = at(example.inputIds, position);
      types[token] = at(example.tokenTypeIds, position);
      const label = at(example.labels, position);
      if (label !== IGNORED_LABEL) {
        labelOrigins[token] = labels.length;
        labelPresent[token] = 1;
        labelled.push(token);
        labels.push(label);
        labelRows.push(row);
      }
      token += 1;
    }
  }

  const seenLabels = extend(labels, roundUp(labels.length, labelMultiple), 0);
  const seenLabelled = extend(labelled, seenLabels.length, 0);
  const seenPositions = extend(positions, length, 0);
  // A place that holds no token has no gradient either.
  const seenFlat = extend(flat, length, Math.max(0, present.indexOf(0)));
  return {
    examples,
    size: examples.length,
    tokens,
    places,
    time,
    labelled: Int32Array.from(labelled),
    labels: Int32Array.from(labels),
    labelRows: Int32Array.from(labelRows),
    lookups: {
      ids,
      positions: seenPositions,
      ...(withTokenTypes ? { types } : {}),
      labels: seenLabels,
    },
    feeds: {
      ids: int64(ids, [length]),
      positions: int64(seenPositions, [length]),
      ...(withTokenTypes ? { types: int64(types, [length]) } : {}),
      padded: int64(padded, [examples.length, time]),
      padded_list: int64(padded, [places]),
      flat: int64(seenFlat, [length]),
      present: float32(present, [places, 1]),
      mask: float32(mask, [time, time]),
      labelled: int64(seenLabelled, [seenLabelled.length]),
      label_origins: int64(labelOrigins, [length]),
      label_present: float32(labelPresent, [length, 1]),
      labels: int64(seenLabels, [seenLabels.length]),
    },
  };
}

/**
 * Cuts a batch into batches of at most `tokens` tokens and of about equal size, its examples in
 * order. An example that is longer makes a batch of its own.
 */
export function splitBatch(batch: Batch, tokens: number): readonly Batch[] {
  if (batch.tokens <= tokens) return [batch];
  const share = batch.tokens / Math.ceil(batch.tokens / tokens);
  const parts: Example[][] = [];
  let length = Infinity;
  for (const example of batch.examples) {
    const added = example.inputIds.length;
    // What overshoots the share by less than half the example evens out in the next part.
    if (length + added / 2 > share || length + added > tokens) {
      parts.push([]);
      length = 0;
    }
    parts.at(-1)?.push(example);
    length += added;
  }
  return parts.map((examples) => makeBatch(examples, batch.lookups.types !== undefined));
}

function roundUp(length: number, multiple: number): number {
  return multiple * Math.ceil(length / multiple);
}

function extend(values: ArrayLike<number>, length: number, rest: number): Int32Array {
  const extended = new Int32Array(length).fill(rest, values.length);
  extended.set(values);
  return extended;
}
