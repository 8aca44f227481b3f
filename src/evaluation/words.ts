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

/** A function's results for short texts, remembered: the tokens of a language come again and again. */
export function remembered(
  tokenize: (token: string) => readonly string[],
): (token: string) => readonly string[] {
  const known = new Map<string, readonly string[]>();
  return (token) => {
    const before = known.get(token);
    if (before !== undefined) return before;
    const words = tokenize(token);
    if (known.size >= MOST_REMEMBERED) known.clear();
    known.set(token, words);
    return words;
  };
}

const MOST_REMEMBERED = 1 << 18;

/** Turns texts into numbers that stand for their words; splits each different text once. */
export class WordNumbers {
  readonly #split: (text: string) => readonly string[];
  readonly #words = new Map<string, number>();
  readonly #texts = new Map<string, Int32Array>();

  constructor(split: (text: string) => readonly string[]) {
    this.#split = split;
  }

  /** The numbers of the words of `text`, from 0; the same array for the same text. */
  of(text: string): Int32Array {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const words = this.#split(text);
    const numbers = new Int32Array(words.length);
    words.forEach((word, index) => {
      const number = this.#words.get(word) ?? this.#words.size;
      this.#words.set(word, number);
      numbers[index] = number;
    });
    this.#texts.set(text, numbers);
    return numbers;
  }

  /** The number of one word, or undefined where no text had it. */
  numberOf(word: string): number | undefined {
    return this.#words.get(word);
  }
}
