/** The numbers that fill a `RaggedLayout` for rows of certain lengths, and the tokens' places. */
export interface RaggedPlaces {
  /** The length of the longest row, or a little more where it is padded to a multiple. */
  readonly time: number;
  /** Each flat token's place in its own row: `[tokens]`. */
  readonly positions: Int32Array;
  /** `[batch·time]` */
  readonly padded: Int32Array;
  /** `[tokens]` */
  readonly flat: Int32Array;
  /** `[batch·time]` */
  readonly present: Float32Array;
  /** `[time, time]` */
  readonly mask: Float32Array;
}

/** Added to the attention scores of places that may not be looked at. */
const HIDDEN = -1e9;

/**
 * Lays out rows of these lengths, one after the other without padding.
 *
 * @param multiple what the length of the padded form is a multiple of
 * @param spare whether at least one place of the padded form is to hold no token
 */
export function raggedPlaces(
  lengths: readonly number[],
  multiple = 1,
  spare = false,
): RaggedPlaces {
  const longest = multiple * Math.ceil(Math.max(...lengths) / multiple);
  const full = lengths.every((length) => length === longest);
  const time = spare && full ? longest + multiple : longest;
  const tokens = lengths.reduce((total, length) => total + length, 0);
  const positions = new Int32Array(tokens);
  const padded = new Int32Array(lengths.length * time);
  const flat = new Int32Array(tokens);
  const present = new Float32Array(lengths.length * time);
  let token = 0;
  for (const [row, length] of lengths.entries()) {
    for (let position = 0; position < length; position++) {
      const place = row * time + position;
      positions[token] = position;
      flat[token] = place;
      padded[place] = token;
      present[place] = 1;
      token += 1;
    }
  }
  return { time, positions, padded, flat, present, mask: causalMask(time) };
}

function causalMask(time: number): Float32Array {
  const mask = new Float32Array(time * time);
  for (let row = 0; row < time; row++) mask.fill(HIDDEN, row * time + row + 1, (row + 1) * time);
  return mask;
}
