/** Words and phrases that are blocked unless another list is given. */
export const DEFAULT_BLOCK_LIST: readonly string[] = [
  'asshole',
  'assholes',
  'bastard',
  'bastards',
  'bitch',
  'bitches',
  'bullshit',
  'cunt',
  'cunts',
  'dickhead',
  'dickheads',
  'dipshit',
  'faggot',
  'faggots',
  'fuck',
  'fucked',
  'fucker',
  'fuckers',
  'fucking',
  'fucks',
  'hang yourself',
  'kill yourself',
  'kys',
  'motherfucker',
  'motherfuckers',
  'motherfucking',
  'nigga',
  'nigger',
  'niggers',
  'rape',
  'raped',
  'rapes',
  'retard',
  'retarded',
  'retards',
  'shit',
  'shits',
  'shitty',
  'slut',
  'sluts',
  'whore',
  'whores',
];

/** Characters that stand for letters in words that are to slip through. */
const DISGUISES: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
  '|': 'i',
  '€': 'e',
  а: 'a',
  е: 'e',
  о: 'o',
  р: 'p',
  с: 'c',
  у: 'y',
  х: 'x',
  і: 'i',
  ѕ: 's',
  һ: 'h',
  к: 'k',
  т: 't',
  ı: 'i',
  α: 'a',
  ι: 'i',
  κ: 'k',
  ο: 'o',
  υ: 'u',
};

/** A character of a text in the plain form, with its place in the text. */
interface PlainCharacter {
  readonly letter: string;
  readonly start: number;
  readonly end: number;
}

/**
 * A character for private use that stands for a sign, so that patterns tell signs from letters by
 * a short range: those that know Unicode's categories take long to compile.
 */
function markOf(sign: string): string {
  return String.fromCharCode(0xe000 + ((sign.codePointAt(0) ?? 0) % 0x1900));
}

const STAR = markOf('*');
const SIGN = '[\ue000-\uf8ff]';
const NO_LETTER_BEFORE = '(?<![^\ue000-\uf8ff])';
const NO_LETTER_AFTER = '(?![^\ue000-\uf8ff])';

/**
 * A text in small letters without accents and disguises, and where each character came from.
 *
 * @param signs whether signs may stand for letters, as in `$hit` but not in `shit!`
 */
function plain(text: string, signs: boolean): PlainCharacter[] {
  const characters: PlainCharacter[] = [];
  let start = 0;
  for (const character of text) {
    const end = start + character.length;
    for (const part of character.normalize('NFKD').toLowerCase()) {
      // Marks over letters and characters without width do not count.
      if (/[\p{M}\p{Cf}]/u.test(part)) continue;
      const word = /[\p{L}\p{N}]/u.test(part);
      const disguised = signs || word ? DISGUISES[part] : undefined;
      const letter = disguised ?? (word ? part : markOf(part));
      characters.push({ letter, start, end });
    }
    start = end;
  }
  return characters;
}

/** What a {@link BlockList} found. */
export interface BlockedSpan {
  /** The entry of the list. */
  readonly entry: string;
  /** How it is spelled in the text. */
  readonly found: string;
  /** Where it starts in the text, in UTF-16 units. */
  readonly start: number;
}

/**
 * A list of words and phrases that must not be said. An entry is found as a whole word in any
 * spelling of case, with accents, digits or signs for letters (`$h1t`), stars in place of letters
 * after the first (`s**t`), letters drawn out (`shiiit`), and signs or single spaces between its
 * letters (`s.h.i.t`, `s h i t`).
 */
export class BlockList {
  readonly #entries: readonly Entry[];

  constructor(entries: readonly string[] = DEFAULT_BLOCK_LIST) {
    this.#entries = entries
      .filter((entry) => plain(entry.trim(), true).length > 0)
      .map((entry) => ({ entry, ...patternsOf(entry.trim()) }));
  }

  /** The first entry that a text contains. */
  find(text: string): BlockedSpan | undefined {
    return this.#findIn(text, true, 'whole') ?? this.#findIn(text, false, 'whole');
  }

  /** The first entry that a text contains whatever comes after it: its last word may grow. */
  findSettled(text: string): BlockedSpan | undefined {
    return this.#findIn(text, true, 'settled') ?? this.#findIn(text, false, 'settled');
  }

  /**
   * How much of a text that grows may be shown: what comes after may still become part of an
   * entry. An entry that is there already is found by {@link findSettled}.
   *
   * @returns a number of UTF-16 units
   */
  safeLength(text: string): number {
    let safe = text.length;
    for (const signs of [true, false]) {
      const spelled = new Spelled(text, signs);
      for (const { begun } of this.#entries) {
        const match = begun.exec(spelled.letters);
        if (match !== null) safe = Math.min(safe, spelled.place(match.index)?.start ?? 0);
      }
    }
    // What is shown must not look blocked by itself, such as where a word is cut at a sign.
    for (;;) {
      const span = this.find(text.slice(0, safe));
      if (span === undefined) return safe;
      safe = span.start;
    }
  }

  #findIn(text: string, signs: boolean, kind: 'whole' | 'settled'): BlockedSpan | undefined {
    const spelled = new Spelled(text, signs);
    for (const entry of this.#entries) {
      const match = entry[kind].exec(spelled.letters);
      if (match === null) continue;
      const first = spelled.place(match.index);
      const last = spelled.place(match.index + match[0].length - 1);
      const start = first?.start ?? 0;
      return { entry: entry.entry, found: text.slice(start, last?.end), start };
    }
    return undefined;
  }
}

/** A text in the plain form as one string, which remembers where each letter came from. */
class Spelled {
  readonly letters: string;
  readonly #characters: readonly PlainCharacter[];
  readonly #origins: readonly number[];

  constructor(text: string, signs: boolean) {
    this.#characters = plain(text, signs);
    this.letters = this.#characters.map(({ letter }) => letter).join('');
    // A letter may take two units of UTF-16; this finds its place among the characters.
    this.#origins = this.#characters.flatMap(({ letter }, index) =>
      Array.from({ length: letter.length }, () => index),
    );
  }

  /** The character that a unit of {@link letters} came from. */
  place(unit: number): PlainCharacter | undefined {
    return this.#characters[this.#origins[unit] ?? 0];
  }
}

/** An entry of a {@link BlockList}. */
interface Entry {
  readonly entry: string;
  /** Matches where the entry stands as a whole word. */
  readonly whole: RegExp;
  /** The same, but not at the very end, where the word may go on. */
  readonly settled: RegExp;
  /** Matches from where the entry, or a beginning of it, reaches the very end. */
  readonly begun: RegExp;
}

function patternsOf(entry: string): Omit<Entry, 'entry'> {
  const words = entry
    .split(/\s+/)
    .map((word) => plain(word, true).map(({ letter }) => letter))
    .filter((letters) => letters.length > 0);
  // Between single letters there may be signs or a space, but then between all of them: a word's
  // end and the next one's start are no word.
  const drawnOut = words.map((letters) => letters.map((letter) => `(?:${letter})+`));
  const starred = drawnOut.map((letters) =>
    letters.map((letter, index) => (index === 0 ? letter : `(?:${letter}|${STAR})`)),
  );
  const spellings = [alternate(starred, []), alternate(drawnOut, [`${SIGN}{1,2}`])];
  const whole = spellings.map((parts) => parts.join('')).join('|');
  const begun = spellings
    .map((parts) =>
      parts.reduceRight((rest, part) => `${part}(?:$${rest === '' ? '' : `|${rest}`})`, ''),
    )
    .join('|');
  return {
    whole: new RegExp(`${NO_LETTER_BEFORE}(?:${whole})${NO_LETTER_AFTER}`),
    settled: new RegExp(`${NO_LETTER_BEFORE}(?:${whole})(?=${SIGN})`),
    begun: new RegExp(`${NO_LETTER_BEFORE}(?:${begun})`),
  };
}

/** The letters of words with `between` between the letters of a word, and signs between words. */
function alternate(words: readonly (readonly string[])[], between: readonly string[]): string[] {
  return words.flatMap((letters, word) => [
    ...(word === 0 ? [] : [`${SIGN}+`]),
    ...letters.flatMap((letter, index) => (index === 0 ? [letter] : [...between, letter])),
  ]);
}

/** What was done about a reply that was not to be said. */
export interface Intervention {
  /**
   * `withheld`: a reply that nobody has seen was dropped, and another one is tried; `cut`: a reply
   * of which the beginning has been shown ends there; `refused`: every reply had to be withheld.
   */
  readonly action: 'withheld' | 'cut' | 'refused';
  /** The entry of the block list, or the label of the classifier. */
  readonly entry: string;
  /** One sentence for people. */
  readonly message: string;
}

/** Says how likely a text is to be of kinds that must not be said. */
export interface SafetyClassifier {
  /** The labels that stand for what must not be said, with their probabilities from 0 to 1. */
  classify(text: string): Promise<readonly { readonly label: string; readonly score: number }[]>;
}

/** Why a reply must not be said. */
export interface Objection {
  readonly entry: string;
  /** How a sentence about the reply goes on. */
  readonly reason: string;
}

/** What a block list and a classifier have against texts. */
export class SafetyGuard {
  readonly #blockList: BlockList;
  readonly #classifier: SafetyClassifier | undefined;
  readonly #threshold: number;

  constructor(blockList: BlockList, classifier: SafetyClassifier | undefined, threshold: number) {
    this.#blockList = blockList;
    this.#classifier = classifier;
    this.#threshold = threshold;
  }

  /** Whether whole replies must be seen before a word is said. */
  get needsWhole(): boolean {
    return this.#classifier !== undefined;
  }

  /** What speaks against a whole reply. */
  async object(text: string): Promise<Objection | undefined> {
    const span = this.#blockList.find(text);
    if (span !== undefined) return objectionTo(span);
    const labels = (await this.#classifier?.classify(text)) ?? [];
    const [worst] = labels.toSorted((a, b) => b.score - a.score);
    if (worst === undefined || worst.score < this.#threshold) return undefined;
    const percent = Math.round(worst.score * 100);
    return { entry: worst.label, reason: `the classifier calls it ${worst.label} (${percent} %)` };
  }

  /** What speaks against a reply of which more may come, whatever that is. */
  objectSoFar(text: string): Objection | undefined {
    const span = this.#blockList.findSettled(text);
    return span === undefined ? undefined : objectionTo(span);
  }

  /** How many units of a reply, of which more may come, may be shown. */
  safeLength(text: string): number {
    return this.#blockList.safeLength(text);
  }
}

function objectionTo({ entry, found }: BlockedSpan): Objection {
  return { entry, reason: `it contains "${found}"` };
}
