/** The longest n-grams that the metrics look at. */
export const LONGEST_NGRAM = 4;

/**
 * The n-grams of one length in a row of sentences. At the place of its first word each has a
 * number, equal for equal n-grams; 0 stands where there is none.
 */
export interface Ngrams {
  readonly numbers: Int32Array;
  /** One more than the largest number. */
  readonly size: number;
}

/**
 * The n-grams that are one word longer: each is a pair of neighbours.
 *
 * @param known Those that do not begin at all before this place are left out.
 */
export function lengthen({ numbers }: Ngrams, known = numbers.length): Ngrams {
  // A hash table of the places where pairs came first; a Map is several times slower. The row
  // begins with a 0, so that place 0 can mark a free slot.
  const places = new Int32Array(2 ** Math.ceil(Math.log2(1.5 * known)));
  const longer = new Int32Array(numbers.length);
  let size = 1;
  for (let place = 0; place < numbers.length; place++) {
    const left = numbers[place] ?? 0;
    const right = numbers[place + 1] ?? 0;
    if (left === 0 || right === 0) continue;
    const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca77);
    let slot = (hash ^ (hash >>> 15)) & (places.length - 1);
    let first = places[slot] ?? 0;
    while (first !== 0 && (numbers[first] !== left || numbers[first + 1] !== right)) {
      slot = (slot + 1) & (places.length - 1);
      first = places[slot] ?? 0;
    }
    if (first !== 0) {
      longer[place] = longer[first] ?? 0;
    } else if (place < known) {
      places[slot] = place;
      longer[place] = size++;
    }
  }
  return { numbers: longer, size };
}

/**
 * The n-grams of 1 to {@link LONGEST_NGRAM} words, by length less one.
 *
 * @param known As for {@link lengthen}.
 */
export function ngramsOfAllLengths(words: Ngrams, known?: number): Ngrams[] {
  const all = [words];
  for (let last = words; all.length < LONGEST_NGRAM; all.push(last)) last = lengthen(last, known);
  return all;
}

/** How often each number comes from place `start` on. */
export function countNgrams({ numbers, size }: Ngrams, start = 0): Int32Array {
  const counts = new Int32Array(size);
  for (let place = start; place < numbers.length; place++) {
    const number = numbers[place] ?? 0;
    counts[number] = (counts[number] ?? 0) + 1;
  }
  return counts;
}
