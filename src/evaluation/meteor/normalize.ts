import { EMPTY_PIECE, type Pieces } from '../words.js';

/**
 * METEOR 1.5's `-norm` for English (`edu/cmu/meteor/util/Normalizer.java`, itself after Moses'
 * tokenizer): punctuation apart, contractions split to the right, dashes between words dropped,
 * quotes made plain, dots split off unless the word is an abbreviation. Lower case at the end.
 */

/** How a word with a dot keeps it: always, or only before a number. */
export type NonbreakingPrefixes = ReadonlyMap<string, 'always' | 'before number'>;

// Western European and Cyrillic letters. Java's \s, \p{Digit} and \p{Lower} are ASCII, so the
// classes are spelt out here.
const LETTER =
  'A-Za-z\u0160\u017D\u0161\u017E\u0178\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u017E' +
  '\u0400-\u04FF\u0500-\u0527\uA640-\uA66E\uA67E-\uA697\u1D00-\u1D7F';
const ALPHANUMERIC = `0-9${LETTER}`;

const SEPARATE = new RegExp(`([^${ALPHANUMERIC} \\t\\n\\v\\f\\r.'\`,\\-\u2018\u2019])`, 'gu');
const COMMAS = [/([^0-9]),([^0-9])/gu, /([0-9]),([^0-9])/gu, /([^0-9]),([0-9])/gu];
const DASH_IN_WORD = new RegExp(`([${ALPHANUMERIC}.])-([${ALPHANUMERIC}])`, 'gu');
const APOSTROPHES_APART = [
  new RegExp(`([^${LETTER}])'([^${LETTER}])`, 'gu'),
  new RegExp(`([^${LETTER}0-9])'([${LETTER}])`, 'gu'),
  new RegExp(`([${LETTER}])'([^${LETTER}])`, 'gu'),
];
const APOSTROPHES_RIGHT = [new RegExp(`([${LETTER}])'([${LETTER}])`, 'gu'), /([0-9])'(s)/gu];
const HAS_LETTER = new RegExp(`[${LETTER}]`, 'u');
const SPACES = /[ \u2000-\u200A\u202F\u205F\u3000\u00A0]+/gu;
// What java.util.StringTokenizer splits at.
const TOKENS = /[^ \t\n\r\f]+/gu;

/** The words of `text` as METEOR compares them. */
export function meteorWords(text: string, prefixes: NonbreakingPrefixes): string[] {
  return splitDots(rawWords(text), prefixes);
}

/**
 * {@link meteorWords} for many texts: looks at a piece between two spaces once. That gives the
 * same words where all characters are plain ASCII and no rule reaches over a space.
 */
export class Normalizer<Word> {
  readonly #prefixes: NonbreakingPrefixes;
  readonly #pieces: Pieces;
  readonly #finish: (word: string) => Word;
  readonly #known: Piece<Word>[] = [];

  /** @param finish Makes of a word what is wanted. */
  constructor(prefixes: NonbreakingPrefixes, pieces: Pieces, finish: (word: string) => Word) {
    this.#prefixes = prefixes;
    this.#pieces = pieces;
    this.#finish = finish;
  }

  words(text: string): Word[] {
    const numbers = this.#pieces.of(text);
    const words: Word[] = [];
    let hasDot = false;
    let previousCloses = false;
    for (const number of numbers) {
      if (number === EMPTY_PIECE) continue;
      const piece = (this.#known[number] ??= this.#look(this.#pieces.piece(number)));
      if (!piece.isPlain || (piece.opens && previousCloses)) {
        return meteorWords(text, this.#prefixes).map(this.#finish);
      }
      hasDot ||= piece.hasDot;
      previousCloses = piece.closes;
      for (const word of piece.words) words.push(word);
    }
    if (!hasDot) return words;
    const raw = numbers.flatMap((number) => this.#known[number]?.raw ?? []);
    return splitDots(raw, this.#prefixes).map(this.#finish);
  }

  #look(piece: string): Piece<Word> {
    const raw = rawWords(piece);
    return {
      raw,
      words: raw.map((word) => this.#finish(word.toLowerCase())),
      isPlain: /^[!-~]*$/.test(piece) && !piece.includes('DOTMULTI'),
      hasDot: raw.some((word) => word.length > 1 && word.endsWith('.')) || piece.includes('..'),
      opens: /^[,'`]/.test(piece),
      closes: /[,'`]$/.test(piece),
    };
  }
}

/** What stands between two spaces. */
interface Piece<Word> {
  readonly raw: readonly string[];
  /** The finished words, where it has no dot. */
  readonly words: readonly Word[];
  readonly isPlain: boolean;
  /** Whether its words depend on the word that follows, or are still hidden. */
  readonly hasDot: boolean;
  /** Whether it begins, or ends, with a character that rules look at together with its neighbour. */
  readonly opens: boolean;
  readonly closes: boolean;
}

/** The words of `text`, single dots still attached and runs of dots hidden. */
function rawWords(text: string): readonly string[] {
  let line = ` ${text} `.replace(SEPARATE, ' $1 ');
  if (line.includes('..')) line = escapeDots(line);
  if (line.includes(',')) for (const comma of COMMAS) line = line.replace(comma, '$1 , $2');
  line = line.replace(/[`\u2018\u2019]/gu, "'").replace(/[\u201C\u201D]|''/gu, ' " ');
  if (/[-\u2013]/u.test(line)) {
    line = line.replaceAll('\u2013', '-').replaceAll('--', '-').replace(DASH_IN_WORD, '$1 $2');
  }
  if (line.includes("'")) {
    for (const apart of APOSTROPHES_APART) line = line.replace(apart, "$1 ' $2");
    for (const right of APOSTROPHES_RIGHT) line = line.replace(right, "$1 '$2");
  }
  return line.match(TOKENS) ?? [];
}

/** Runs of dots hide behind a word of letters while single dots are looked at. */
function escapeDots(text: string): string {
  let line = text.replace(/\.(\.+)/gu, ' DOTMULTI$1');
  while (line.includes('DOTMULTI.')) {
    line = line.replace(/DOTMULTI\.([^.])/gu, 'DOTDOTMULTI $1');
    line = line.replaceAll('DOTMULTI.', 'DOTDOTMULTI');
  }
  return line;
}

/**
 * Splits the dot off each word that is no abbreviation, drops the dots of U.S., brings back runs
 * of dots, and lowers the case.
 */
function splitDots(words: readonly string[], prefixes: NonbreakingPrefixes): string[] {
  let line = '';
  words.forEach((word, index) => {
    if (word.length > 1 && word.endsWith('.')) {
      const before = word.slice(0, -1);
      const next = words[index + 1] ?? '';
      const kept = prefixes.get(before);
      if (before.includes('.') && HAS_LETTER.test(before)) line += word.replaceAll('.', '');
      else if (kept === 'always' || /^[a-z]/.test(next)) line += word;
      else if (kept === 'before number' && /^[0-9]/.test(next)) line += word;
      else line += `${before} .`;
    } else {
      line += word;
    }
    line += ' ';
  });
  while (line.includes('DOTDOTMULTI')) line = line.replaceAll('DOTDOTMULTI', 'DOTMULTI.');
  line = trim(line.replaceAll('DOTMULTI', '.').replace(SPACES, ' ')).toLowerCase();
  return line.match(TOKENS) ?? [];
}

/** Java's String.trim: takes control characters away too. */
function trim(line: string): string {
  let start = 0;
  let end = line.length;
  while (start < end && line.charCodeAt(start) <= 0x20) start++;
  while (end > start && line.charCodeAt(end - 1) <= 0x20) end--;
  return line.slice(start, end);
}
