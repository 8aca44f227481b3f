/**
 * White space as Python's `str.split()` and Perl's `\s` see it. JavaScript's `\s` also holds
 * U+FEFF and lacks some of the control characters.
 */
const UNICODE_SPACES =
  '\\t\\n\\v\\f\\r \\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000';
const PYTHON_WORDS = new RegExp(`[^${UNICODE_SPACES}\\x1C-\\x1F]+`, 'gu');
const PERL_WORDS = new RegExp(`[^${UNICODE_SPACES}]+`, 'gu');

/** The words of a text as Python's `text.split()` gives them. */
export function splitWords(text: string): string[] {
  return text.match(PYTHON_WORDS) ?? [];
}

/** The words of a text as Perl's `split ' '` gives them. */
export function splitWordsAsPerl(text: string): string[] {
  return text.match(PERL_WORDS) ?? [];
}

/** The number of the empty piece. */
export const EMPTY_PIECE = 0;

/**
 * Cuts texts at every single space, and numbers the pieces. All tokenisations share it: none of
 * them looks over a space, so that each need look at a different piece only once.
 *
 * The pieces are in a hash table that is searched without cutting them out; to cut them out and
 * look them up in a Map takes several times longer.
 */
export class Pieces {
  readonly #texts = new Map<string, readonly number[]>();
  readonly #pieces: string[] = [''];
  readonly #hashes: number[] = [0];
  /** Numbers of pieces by their hashes; 0 is a free slot. A power of two, at most half full. */
  #slots = new Int32Array(1 << 14);

  /** The numbers of the pieces of `text`; the same array for the same text. */
  of(text: string): readonly number[] {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const numbers: number[] = [];
    let start = 0;
    let hash = 0;
    for (let end = 0; end <= text.length; end++) {
      const unit = end === text.length ? SPACE : text.charCodeAt(end);
      if (unit !== SPACE) {
        hash = (Math.imul(hash, 31) + unit) | 0;
      } else {
        numbers.push(start === end ? EMPTY_PIECE : this.#number(text, start, end, hash));
        start = end + 1;
        hash = 0;
      }
    }
    this.#texts.set(text, numbers);
    return numbers;
  }

  /** The piece with a number that {@link of} gave. */
  piece(number: number): string {
    return this.#pieces[number] ?? '';
  }

  #number(text: string, start: number, end: number, hash: number): number {
    let slot = this.#slotOf(hash);
    for (; ; slot = (slot + 1) & (this.#slots.length - 1)) {
      const number = this.#slots[slot] ?? 0;
      if (number === 0) break;
      const piece = this.#pieces[number] ?? '';
      if (
        this.#hashes[number] === hash &&
        piece.length === end - start &&
        text.startsWith(piece, start)
      ) {
        return number;
      }
    }
    const number = this.#pieces.push(text.slice(start, end)) - 1;
    this.#hashes.push(hash);
    this.#slots[slot] = number;
    if (2 * number > this.#slots.length) this.#grow();
    return number;
  }

  #slotOf(hash: number): number {
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }

  #grow(): void {
    this.#slots = new Int32Array(2 * this.#slots.length);
    for (let number = 1; number < this.#pieces.length; number++) {
      let slot = this.#slotOf(this.#hashes[number] ?? 0);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
      this.#slots[slot] = number;
    }
  }
}

const SPACE = 0x20;

/** Numbers in a row that grows; an array of JavaScript's is several times slower. */
export class NumberRow {
  length = 0;
  #numbers = new Int32Array(1 << 10);

  /** The numbers so far; valid until the next one comes. */
  get numbers(): Int32Array<ArrayBuffer> {
    return this.#numbers.subarray(0, this.length);
  }

  push(number: number): void {
    if (this.length === this.#numbers.length) {
      const longer = new Int32Array(2 * this.length);
      longer.set(this.#numbers);
      this.#numbers = longer;
    }
    this.#numbers[this.length++] = number;
  }
}

/** A tokenisation: turns texts into numbers, from 1, that stand for their words. */
export class WordNumbers {
  readonly #pieces: Pieces;
  readonly #split: (text: string) => readonly string[];
  readonly #numbers = new Map<string, number>();
  /** The words of each piece: the only one's number, or the numbers of none or several. */
  readonly #ofPieces: (number | readonly number[])[] = [];

  /** @param split Must give the same words for a text as for its pieces one after the other. */
  constructor(pieces: Pieces, split: (text: string) => readonly string[]) {
    this.#pieces = pieces;
    this.#split = split;
  }

  /** The largest number given so far. */
  get size(): number {
    return this.#numbers.size;
  }

  /** The number of one word, or undefined where no text had it. */
  numberOf(word: string): number | undefined {
    return this.#numbers.get(word);
  }

  /** Puts the numbers of the words of `text` at the end of `row`. */
  append(text: string, row: NumberRow): void {
    if (text === '') for (const word of this.#wordsOf(text)) row.push(word);
    for (const piece of this.#pieces.of(text)) {
      if (piece === EMPTY_PIECE) continue;
      const words = this.#ofPieces[piece] ?? this.#look(piece);
      if (typeof words === 'number') row.push(words);
      else for (const word of words) row.push(word);
    }
  }

  #look(piece: number): number | readonly number[] {
    const words = this.#wordsOf(this.#pieces.piece(piece));
    const [only] = words;
    const known = words.length === 1 && only !== undefined ? only : words;
    this.#ofPieces[piece] = known;
    return known;
  }

  #wordsOf(text: string): number[] {
    return this.#split(text).map((word) => {
      const number = this.#numbers.get(word) ?? this.#numbers.size + 1;
      this.#numbers.set(word, number);
      return number;
    });
  }
}
