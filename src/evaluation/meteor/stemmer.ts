import { at } from '../../base/arrays.js';

/**
 * The Snowball English stemmer ("Porter 2", http://snowball.tartarus.org/algorithms/english/stemmer.html)
 * in the version that METEOR 1.5 carries (2010). Later versions of Snowball changed a few words
 * and rules; METEOR's numbers need the old ones.
 */
export function stemEnglish(word: string): string {
  const exception = EXCEPTIONS.get(word);
  if (exception !== undefined) return exception;
  if (word.length <= 2) return word;
  let stem = markConsonantY(word.startsWith("'") ? word.slice(1) : word);
  const [r1, r2] = regions(stem);
  stem = removePlural(removePossessive(stem));
  if (!UNCHANGED_AFTER_PLURAL.has(stem)) {
    stem = removePast(stem, r1);
    stem = finalYToI(stem);
    stem = replaceDerivation(stem, r1);
    stem = replaceSecondDerivation(stem, r1, r2);
    stem = removeSuffix(stem, r2);
    stem = removeFinalEOrL(stem, r1, r2);
  }
  return stem.replaceAll('Y', 'y');
}

const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ['skis', 'ski'],
  ['skies', 'sky'],
  ['dying', 'die'],
  ['lying', 'lie'],
  ['tying', 'tie'],
  ['idly', 'idl'],
  ['gently', 'gentl'],
  ['ugly', 'ugli'],
  ['early', 'earli'],
  ['only', 'onli'],
  ['singly', 'singl'],
  ...['sky', 'news', 'howe', 'atlas', 'cosmos', 'bias', 'andes'].map((word): [string, string] => [
    word,
    word,
  ]),
]);

const UNCHANGED_AFTER_PLURAL: ReadonlySet<string> = new Set([
  'inning',
  'outing',
  'canning',
  'herring',
  'earring',
  'proceed',
  'exceed',
  'succeed',
]);

const VOWELS = 'aeiouy';
const DOUBLES: ReadonlySet<string> = new Set('bb dd ff gg mm nn pp rr tt'.split(' '));
const ENDINGS_BEFORE_LI = 'cdeghkmnrt';

function isVowel(word: string, index: number): boolean {
  const letter = word[index];
  return letter !== undefined && VOWELS.includes(letter);
}

function hasVowel(word: string, end: number): boolean {
  for (let index = 0; index < end; index++) if (isVowel(word, index)) return true;
  return false;
}

/** Writes a y that stands for a consonant (at the start or after a vowel) as Y. */
function markConsonantY(word: string): string {
  if (!word.includes('y')) return word;
  let marked = word.startsWith('y') ? 'Y' : word.slice(0, 1);
  for (let index = 1; index < word.length; index++) {
    const letter = at(word, index);
    marked += letter === 'y' && isVowel(marked, index - 1) ? 'Y' : letter;
  }
  return marked;
}

/** Where the regions R1 and R2 begin; each begins at the word's end where it is empty. */
function regions(word: string): [number, number] {
  const prefix = ['gener', 'commun', 'arsen'].find((start) => word.startsWith(start));
  const first = prefix === undefined ? afterVowelAndConsonant(word, 0) : prefix.length;
  return [first, afterVowelAndConsonant(word, first)];
}

function afterVowelAndConsonant(word: string, start: number): number {
  let index = start;
  while (index < word.length && !isVowel(word, index)) index++;
  while (index < word.length && isVowel(word, index)) index++;
  return Math.min(index + 1, word.length);
}

/** Whether the word's first `end` letters end in a short syllable. */
function endsInShortSyllable(word: string, end: number): boolean {
  if (isVowel(word, end - 1) || !isVowel(word, end - 2)) return false;
  if (end === 2) return true;
  return end > 2 && !'wxY'.includes(at(word, end - 1)) && !isVowel(word, end - 3);
}

/** The longest of `suffixes` that `word` ends in; they are given longest first. */
function suffixOf(word: string, suffixes: readonly string[]): string | undefined {
  return suffixes.find((suffix) => word.endsWith(suffix));
}

function removePossessive(word: string): string {
  return word.slice(0, word.length - (suffixOf(word, ["'s'", "'s", "'"])?.length ?? 0));
}

function removePlural(word: string): string {
  if (word.endsWith('sses')) return word.slice(0, -2);
  if (/ie[ds]$/.test(word)) return word.slice(0, word.length > 4 ? -2 : -1);
  if (!word.endsWith('s') || /[us]s$/.test(word)) return word;
  return hasVowel(word, word.length - 2) ? word.slice(0, -1) : word;
}

function removePast(word: string, r1: number): string {
  const suffix = suffixOf(word, ['eedly', 'ingly', 'edly', 'eed', 'ing', 'ed']);
  if (suffix === undefined) return word;
  const end = word.length - suffix.length;
  if (suffix.startsWith('ee')) return end >= r1 ? `${word.slice(0, end)}ee` : word;
  if (!hasVowel(word, end)) return word;
  const stem = word.slice(0, end);
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (DOUBLES.has(stem.slice(-2))) return stem.slice(0, -1);
  return end === r1 && endsInShortSyllable(stem, end) ? `${stem}e` : stem;
}

function finalYToI(word: string): string {
  const last = word.length - 1;
  if (!/[yY]$/.test(word) || last < 2 || isVowel(word, last - 1)) return word;
  return `${word.slice(0, last)}i`;
}

type Rule = readonly [suffix: string, replacement: string];

/** Suffixes and what takes their place, longest first: of several that fit, the longest decides. */
const DERIVATIONS: readonly Rule[] = [
  ['ational', 'ate'],
  ['fulness', 'ful'],
  ['iveness', 'ive'],
  ['ization', 'ize'],
  ['ousness', 'ous'],
  ['biliti', 'ble'],
  ['lessli', 'less'],
  ['tional', 'tion'],
  ['alism', 'al'],
  ['aliti', 'al'],
  ['ation', 'ate'],
  ['entli', 'ent'],
  ['fulli', 'ful'],
  ['iviti', 'ive'],
  ['ousli', 'ous'],
  ['abli', 'able'],
  ['alli', 'al'],
  ['anci', 'ance'],
  ['ator', 'ate'],
  ['enci', 'ence'],
  ['izer', 'ize'],
  ['bli', 'ble'],
  ['ogi', 'og'],
  ['li', ''],
];

function replaceDerivation(word: string, r1: number): string {
  const rule = DERIVATIONS.find(([suffix]) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const [suffix, replacement] = rule;
  const end = word.length - suffix.length;
  if (end < r1) return word;
  const before = word[end - 1];
  if (suffix === 'ogi' && before !== 'l') return word;
  if (suffix === 'li' && (before === undefined || !ENDINGS_BEFORE_LI.includes(before))) return word;
  return word.slice(0, end) + replacement;
}

const SECOND_DERIVATIONS: readonly Rule[] = [
  ['ational', 'ate'],
  ['tional', 'tion'],
  ['alize', 'al'],
  ['ative', ''],
  ['icate', 'ic'],
  ['iciti', 'ic'],
  ['ical', 'ic'],
  ['ness', ''],
  ['ful', ''],
];

function replaceSecondDerivation(word: string, r1: number, r2: number): string {
  const rule = SECOND_DERIVATIONS.find(([suffix]) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const [suffix, replacement] = rule;
  const end = word.length - suffix.length;
  return end < (suffix === 'ative' ? Math.max(r1, r2) : r1)
    ? word
    : word.slice(0, end) + replacement;
}

const REMOVED: readonly string[] =
  'ement able ance ence ible ment ant ate ent ion ism iti ive ize ous al er ic'.split(' ');

function removeSuffix(word: string, r2: number): string {
  const suffix = suffixOf(word, REMOVED);
  if (suffix === undefined) return word;
  const end = word.length - suffix.length;
  if (end < r2) return word;
  return suffix === 'ion' && !/[st]$/.test(word.slice(0, end)) ? word : word.slice(0, end);
}

function removeFinalEOrL(word: string, r1: number, r2: number): string {
  const end = word.length - 1;
  const removed = word.endsWith('e')
    ? end >= r2 || (end >= r1 && !endsInShortSyllable(word, end))
    : word.endsWith('ll') && end >= r2;
  return removed ? word.slice(0, end) : word;
}
