import { at } from '../base/arrays.js';
import { type Example, IGNORED_LABEL } from '../dataset/index.js';
import { raggedPlaces } from '../model/index.js';
import { float32, type HostTensors, int64 } from '../runtime/index.js';

/** Several examples laid out for the training graph: flat, without padding but in attention. */
export interface Batch {
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
 * Lays out examples as one batch.
 *
 * @param withTokenTypes whether the model adds token-type embeddings
 * @param multiple what the length of the padded form is a multiple of
 */
export function makeBatch(
  examples: readonly Example[],
  withTokenTypes = false,
  multiple = 1,
): Batch {
  const { time, positions, padded, flat, present, mask } = raggedPlaces(
    examples.map(({ inputIds }) => inputIds.length),
    multiple,
  );
  const tokens = positions.length;
  const places = padded.length;

  const ids = new Int32Array(tokens);
  const types = new Int32Array(tokens);
  const labelOrigins = new Int32Array(tokens);
  const labelPresent = new Float32Array(tokens);
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

  return {
    size: examples.length,
    tokens,
    places,
    time,
    labelled: Int32Array.from(labelled),
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
      mask: float32(mask, [time, time]),
      labelled: int64(labelled, [labelled.length]),
      label_origins: int64(labelOrigins, [tokens]),
      label_present: float32(labelPresent, [tokens, 1]),
      labels: int64(labels, [labels.length]),
    },
  };
}
