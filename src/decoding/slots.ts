import { at, range } from '../base/arrays.js';

/** A sequence of tokens whose next token is to be scored. */
export interface Sequence {
  /** At least one token and at most `n_positions`. */
  readonly ids: readonly number[];
  /** How many of them are the prompt, which is read at once; the others are read one by one. */
  readonly prompt: number;
  /** Whether the states of all tokens are wanted; the whole prompt is then read anew. */
  readonly states?: boolean;
}

/** What a slot of the cache holds. */
export interface Slot {
  ids: readonly number[];
  /** How many of them were read at once. */
  prompt: number;
  /** When it was last used; the larger, the later. */
  used: number;
}

/**
 * Finds a slot for each sequence and shortens what the slot holds to what the sequence can use of
 * it. A sequence goes where most of it is known already; if that slot is taken by another, what is
 * known is copied to the slot that was not used for the longest time.
 *
 * @param slots at least as many as sequences
 * @param copy copies the first tokens of one slot's cache to another's
 * @param exact whether only what gives the same bits as reading anew may be taken over
 * @returns the slot of each sequence
 */
export function placeRows(
  sequences: readonly Sequence[],
  slots: readonly Slot[],
  copy: (from: number, to: number, length: number) => void,
  exact = true,
): number[] {
  const wishes = sequences.map((sequence, row) => ({
    row,
    sequence,
    ...mostKnown(sequence, slots, exact),
  }));
  wishes.sort((a, b) => b.known - a.known || a.row - b.row);
  const places = new Array<number>(sequences.length).fill(-1);
  const free = new Set(slots.keys());
  const waiting = wishes.filter(({ row, slot, known }) => {
    if (known === 0 || !free.delete(slot)) return true;
    places[row] = slot;
    return false;
  });
  const targets = [...free].sort((a, b) => at(slots, a).used - at(slots, b).used || a - b);
  for (const [index, { row, slot, known }] of waiting.entries()) {
    const target = at(targets, index);
    if (known > 0) copy(slot, target, known);
    places[row] = target;
  }
  for (const { row, sequence, known } of wishes) {
    const state = at(slots, at(places, row));
    state.ids = sequence.ids.slice(0, known);
    state.prompt = Math.min(sequence.prompt, known);
  }
  return places;
}

/** How many slots that nobody needs a step may compute, as a share of those that it must. */
const IDLE_SHARE = 1 / 8;

/**
 * Brings the slots of a batch side by side, because a step computes all from the first to the last:
 * those outside of where most of them lie change places with idle ones there. A few gaps are left as
 * they are, as moving costs about as much as computing a row in vain.
 *
 * @param places the slot of each sequence, each another
 * @param slots how many there are
 * @param exchange lets two slots change places
 * @returns the slot of each sequence now
 */
export function gatherSlots(
  places: readonly number[],
  slots: number,
  exchange: (one: number, other: number) => void,
): number[] {
  const count = places.length;
  const span = Math.max(...places) + 1 - Math.min(...places);
  if (span - count <= count * IDLE_SHARE) return [...places];
  let best = { start: 0, inside: -1 };
  for (let start = 0; start + count <= slots; start++) {
    const inside = places.filter((slot) => slot >= start && slot < start + count).length;
    if (inside > best.inside) best = { start, inside };
  }
  const taken = new Set(places);
  const idle = range(best.start, best.start + count).filter((slot) => !taken.has(slot));
  return places.map((slot) => {
    if (slot >= best.start && slot < best.start + count) return slot;
    const target = idle.pop();
    if (target === undefined) throw new Error('Two sequences have one slot.');
    exchange(slot, target);
    return target;
  });
}

/** The slot that holds most of what a sequence starts with. */
function mostKnown(
  sequence: Sequence,
  slots: readonly Slot[],
  exact: boolean,
): { readonly slot: number; readonly known: number } {
  let best = { slot: 0, known: 0 };
  for (const slot of range(0, slots.length)) {
    const known = usable(sequence, at(slots, slot), exact);
    if (known > best.known) best = { slot, known };
  }
  return best;
}

/**
 * How many tokens a sequence can take over from a slot: all that it starts with, or where the bits must
 * be those that it would get from an empty slot, a prompt that is its own and what was read after it one
 * by one. A prompt's beginning does not do then: how a product of several rows is computed, down to the
 * last bit, depends on how many they are.
 */
function usable({ ids, prompt, states }: Sequence, slot: Slot, exact: boolean): number {
  if (states === true) return 0;
  // The last token is always read, because its scores are wanted.
  const limit = Math.min(slot.ids.length, ids.length - 1);
  let common = 0;
  while (common < limit && slot.ids[common] === ids[common]) common += 1;
  return !exact || (common >= prompt && slot.prompt === prompt) ? common : 0;
}
