import { at } from '../base/arrays.js';
import { exampleSize, type TokenizedDialogue } from './example.js';

/** What becomes of dialogues longer than an example may be. */
export const LONG_MODES = ['split', 'drop', 'compat'] as const;

/** One of {@link LONG_MODES}; see {@link splitDialogue}. */
export type LongMode = (typeof LONG_MODES)[number];

/** Pieces of a dialogue that are examples, and what had to be left out. */
export interface SplitDialogue {
  readonly pieces: readonly TokenizedDialogue[];
  /** Pieces left out because they are longer than an example may be. */
  readonly dropped: number;
  /** Turns left out because they alone are too long. */
  readonly longTurns: number;
}

/** The number of input tokens of a piece: its turns and the end-of-text tokens between them. */
export function inputLength(turns: readonly ArrayLike<number>[]): number {
  return turns.reduce((total, turn) => total + turn.length + 1, -1);
}

/**
 * Cuts a dialogue into pieces that become examples.
 *
 * - `split`: at borders of turns, so that no example is longer than `maxLength` tokens. A piece
 *   after a cut starts with the turn before the cut as its context, if both fit.
 * - `compat`: as the original's `_make_features` (prepro.py), which cuts only once a piece is
 *   already longer than `maxLength`, so examples may be longer.
 * - `drop`: the same, and examples that the original's loader would discard, because their length
 *   padded to a multiple of 8 is more than `maxLength`, are left out.
 */
export function splitDialogue(
  dialogue: TokenizedDialogue,
  maxLength: number,
  mode: LongMode,
): SplitDialogue {
  const limit = (piece: Piece, turn: readonly number[]) =>
    mode === 'split'
      ? inputLength([...piece.turns, turn]) > maxLength
      : inputLength(piece.turns) + 1 > maxLength;

  const pieces: Piece[] = [];
  let piece: Piece = { turns: [], weights: [] };
  let longTurns = 0;
  const finish = () => {
    if (piece.turns.length >= 2) pieces.push(piece);
  };
  for (const [index, turn] of dialogue.turns.entries()) {
    if (turn.length > maxLength) {
      longTurns += 1;
      finish();
      piece = { turns: [], weights: [] };
      continue;
    }
    if (piece.turns.length > 0 && limit(piece, turn)) {
      finish();
      piece = { turns: piece.turns.slice(-1), weights: piece.weights.slice(-1) };
      if (mode === 'split' && limit(piece, turn)) piece = { turns: [], weights: [] };
    }
    piece.turns.push(turn);
    piece.weights.push(at(dialogue.weights, index));
  }
  finish();

  const learnable = pieces.filter(({ weights }) => weights.slice(1).some((weight) => weight !== 0));
  const kept =
    mode === 'drop' ? learnable.filter((kept) => paddedLength(kept) <= maxLength) : learnable;
  return { pieces: kept, dropped: learnable.length - kept.length, longTurns };
}

/**
 * Cuts a dialogue into parts of at most `mostTurns` turns, each after the first starting with the
 * turn before it as its context, so that every turn is the answer to one; 0 leaves it whole.
 */
export function cutByTurns(dialogue: TokenizedDialogue, mostTurns: number): TokenizedDialogue[] {
  const { turns, weights } = dialogue;
  if (mostTurns === 0 || turns.length <= mostTurns) return [dialogue];
  const parts: TokenizedDialogue[] = [];
  for (let start = 0; start + 1 < turns.length; start += mostTurns - 1) {
    const end = start + mostTurns;
    parts.push({ turns: turns.slice(start, end), weights: weights.slice(start, end) });
  }
  return parts;
}

interface Piece {
  readonly turns: (readonly number[])[];
  readonly weights: number[];
}

/** The length to which the original pads the example of a piece: a multiple of 8. */
function paddedLength(piece: TokenizedDialogue): number {
  return Math.ceil(exampleSize(piece).tokens / 8) * 8;
}
