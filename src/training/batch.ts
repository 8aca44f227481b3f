import { at } from '../base/arrays.js';
import { type Example, IGNORED_LABEL } from '../dataset/index.js';
import { float32, type HostTensors, int64 } from '../runtime/index.js';

/** Added to the attention scores of places that may not be looked at. */
const HIDDEN = -1e9;

/** Several examples laid out for the training graph: flat, without padding but in attention. */
export interface Batch {
  /** The number of examples. */
  readonly size: number;
  /** The number of tokens of all examples. */
  readonly tokens: number;
  /** The number of places in the padded form that attention works on. */
  readonly places: number;
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
 * Lays out examples as one batch.
 *
 * @param withTokenTypes whether the model adds token-type embeddings
 */
export function makeBatch(examples: readonly Example[], withTokenTypes = false): Batch {
  const time = Math.max(...examples.map(({ inputIds }) => inputIds.length));
  const tokens = examples.reduce((total, { inputIds }) => total + inputIds.length, 0);
  const places = examples.length * time;

  const ids = new Int32Array(tokens);
  const positions = new Int32Array(tokens);
  const types = new Int32Array(tokens);
  const flat = new Int32Array(tokens);
  const padded = new Int32Array(places);
  const present = new Float32Array(places);
  const labelOrigins = new Int32Array(tokens);
  const labelPresent = new Float32Array(tokens);
  const labelled: number[] = [];
  const labels: number[] = [];
  const labelRows: number[] = [];

  let token = 0;
  for (const [row, example] of examples.entries()) {
    for (let position = 0; position < example.inputIds.length; position++) {
      const place = row * time + position;
      ids[token] = at(example.inputIds, position);
      positions[token] = position;
      types[token] = at(example.tokenTypeIds, position);
      flat[token] = place;
      padded[place] = token;
      present[place] = 1;
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

  return {
    size: examples.length,
    tokens,
    places,
    labels: Int32Array.from(labels),
    labelRows: Int32Array.from(labelRows),
    lookups: {
      ids,
      positions,
      ...(withTokenTypes ? { types } : {}),
      labels: Int32Array.from(labels),
    },
    feeds: {
      ids: int64(ids, [tokens]),
      positions: int64(positions, [tokens]),
      ...(withTokenTypes ? { types: int64(types, [tokens]) } : {}),
      padded: int64(padded, [examples.length, time]),
      padded_list: int64(padded, [places]),
      flat: int64(flat, [tokens]),
      present: float32(present, [places, 1]),
      mask: float32(causalMask(time), [time, time]),
      labelled: int64(labelled, [labelled.length]),
      label_origins: int64(labelOrigins, [tokens]),
      label_present: float32(labelPresent, [tokens, 1]),
      labels: int64(labels, [labels.length]),
    },
  };
}

function causalMask(time: number): Float32Array {
  const mask = new Float32Array(time * time);
  for (let row = 0; row < time; row++) mask.fill(HIDDEN, row * time + row + 1, (row + 1) * time);
  return mask;
}
