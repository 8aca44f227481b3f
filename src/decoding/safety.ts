/** Words and phrases that are blocked unless another list is given. */
export const DEFAULT_BLOCK_LIST: readonly string[] = [
  'asshole',
  'bastard',
  'bitch',
  'cunt',
  'dickhead',
  'faggot',
  'fuck',
  'fucked',
  'fucker',
  'fucking',
  'hang yourself',
  'kill yourself',
  'kys',
  'motherfucker',
  'nigger',
  'rape',
  'retard',
  'shit',
  'slut',
  'whore',
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
};

/** A character of a text in the plain form, with its place in the text. */
interface PlainCharacter {
  readonly letter: string;
  readonly start: number;
  readonly end: number;
}

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
      const disguised = signs || /[\p{L}\p{N}]/u.test(part);
      characters.push({ letter: (disguised ? DISGUISES[part] : undefined) ?? part, start, end });
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
}

/**
 * A list of words and phrases that must not be said. An entry is found as a whole word in any
 * spelling of case, with accents, digits or signs for letters (`$h1t`), letters drawn out
 * (`shiiit`), and signs or single spaces between its letters (`s.h.i.t`, `s h i t`).
 */
export class BlockList {
  readonly #entries: readonly { readonly entry: string; readonly pattern: RegExp }[];

  constructor(entries: readonly string[] = DEFAULT_BLOCK_LIST) {
    this.#entries = entries
      .filter((entry) => entry.trim() !== '')
      .map((entry) => ({ entry, pattern: patternOf(entry.trim()) }));
  }

  /** The first entry that a text contains. */
  find(text: string): BlockedSpan | undefined {
    return this.#findIn(text, true) ?? this.#findIn(text, false);
  }

  #findIn(text: string, signs: boolean): BlockedSpan | undefined {
    const characters = plain(text, signs);
    const letters = characters.map(({ letter }) => letter).join('');
    // A letter may take two units of UTF-16; this finds its place among the characters.
    const starts = characters.flatMap(({ letter }, index) => Array.from(letter, () => index));
    for (const { entry, pattern } of this.#entries) {
      const match = pattern.exec(letters);
      if (match === null) continue;
      const first = characters[starts[match.index] ?? 0];
      const last = characters[starts[match.index + match[0].length - 1] ?? 0];
      return { entry, found: text.slice(first?.start, last?.end) };
    }
    return undefined;
  }
}

function patternOf(entry: string): RegExp {
  const words = entry.split(/\s+/).map((word) => plain(word, true).map(({ letter }) => letter));
  const escape = (letter: string) => letter.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  const joined = words.map((word) => word.map((letter) => `${escape(letter)}+`).join(''));
  // Between single letters there may be signs or a space, but then between all of them: a word's
  // end and the next one's start are no word.
  const spaced = words.map((word) =>
    word.map((letter) => `${escape(letter)}+`).join('[^\\p{L}\\p{N}]{1,2}'),
  );
  const gap = '[^\\p{L}\\p{N}]+';
  const alternatives = [joined.join(gap), spaced.join(gap)].join('|');
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${alternatives})(?![\\p{L}\\p{N}])`, 'u');
}

/** What was done about a reply that was not to be said. */
export interface Intervention {
  readonly action: 'withheld' | 'refused';
  readonly entry: string;
  /** One sentence for people. */
  readonly message: string;
}
