import { pythonSplit } from './python-text.js';

/**
 * The two steps of the original's text normalisation (reddit_extractor/src/reddit.py) and the part
 * of NLTK's TweetTokenizer (3.4.1) that text can still reach after the second one's filter.
 */

/** reddit.py's `minimal_norm_sentence`: no backslashes, and one line. */
export function flattenText(text: string): string {
  return /[\\\n\r\t]/.test(text) ? text.replaceAll('\\', '').replace(/[\n\r\t]/g, ' ') : text;
}

/**
 * reddit.py's `gpt_norm_sentence`: hashtags go, links become `__url__`, what is not a letter,
 * digit or plain punctuation becomes a space, and tokens are set apart by single spaces.
 */
export function normaliseText(text: string): string {
  // White space between words comes out the same whether it is cut here or not.
  let plain = (/#|http/i.test(text) ? cutLinks(text) : text).replaceAll('\\', '');
  if (plain.includes('/')) {
    plain = plain
      .replaceAll('b/c', 'because')
      .replaceAll('j/k', 'just kidding')
      .replaceAll('w/o', 'without')
      .replaceAll('w/', 'with');
  }
  if (plain.includes('_'))
    plain = plain.replaceAll('__mention__', 'MENTION').replaceAll('__url__', 'URL');
  plain = plain
    .replace(/[^A-Za-z0-9()[\]:,.!?'“” ]/g, ' ')
    .replaceAll('MENTION', '__mention__')
    .replaceAll('URL', '__url__');
  return tweetTokens(plain);
}

function cutLinks(text: string): string {
  const words: string[] = [];
  for (const word of pythonSplit(text)) {
    if (word.startsWith('#')) continue;
    const lower = word.toLowerCase();
    const link = lower.indexOf('http');
    if (link < 0) {
      words.push(word);
      continue;
    }
    // The original takes the place in the lower-cased word, in characters, for the place in the
    // word, though a character may have become two.
    const before = Array.from(word).slice(0, Array.from(lower.slice(0, link)).length);
    words.push(before.join(''), '__url__');
  }
  return words.join(' ');
}

/**
 * TweetTokenizer's alternatives in its order (nltk/tokenize/casual.py), each reduced to what its
 * alphabet here, `A-Za-z0-9_()[]:,.!?'“” `, can match. What needs another character (`<>`, `@`,
 * `#`, `/`, `-`, `+`, `&`, emoji) or the letters "http" cannot occur: heart emoticons, HTML tags,
 * arrows, handles, hashtags, e-mail addresses, flags, entities, full URLs.
 */
const TOKEN = new RegExp(
  [
    // A naked domain (the last alternative of URLS).
    /(?:[a-z0-9]+\.)+[a-z]{2,13}\b/,
    // A telephone number (PHONE_REGEX).
    /(?:[01][ .)]*)?(?:\(?\d{3}[ .)]*)?\d{3}[ .)]*\d{4}/,
    // Emoticons, both ways round.
    /[:8][o']?[)\][(dp:]/,
    /[)\][(dp:][o']?[:8]/,
    // Words with apostrophes inside.
    /[a-z][a-z'_]+[a-z]/,
    // Numbers with a separator inside.
    /\d+[,.:]\d+/,
    // Words without apostrophes.
    /\w+/,
    // Dots, apart or not.
    /\.(?: *\.)+/,
    /[^ ]/,
  ]
    .map((alternative) => alternative.source)
    .join('|'),
  'gi',
);

/** More than three of the same character in a row, which the tokenizer cuts to three (HANG_RE). */
const HANGING = /([^a-zA-Z0-9 ])\1{3,}/g;

/** The tokens of a text in the alphabet above, set apart by single spaces. */
function tweetTokens(text: string): string {
  const tokens = text.replace(HANGING, '$1$1$1').match(TOKEN);
  const joined = tokens === null ? '' : tokens.join(' ');
  // A telephone number, or dots that stand apart, may hold spaces in a row.
  return joined.includes('  ') ? joined.replace(/ +/g, ' ') : joined;
}
