import { splitWords } from './words.js';

/**
 * DSTC-7's cleaning of a response (`clean_str` of the original's dstc/tokenizers.py): lower case,
 * links as `__url__`, letters, digits and `( ) : , . ! ? " '` only, words as NLTK's TweetTokenizer
 * splits them, contractions apart.
 */
export function cleanText(text: string): string {
  const linked = splitWords(text.toLowerCase())
    .map((word) => {
      const link = word.indexOf('http');
      return link === -1 ? word : `${word.slice(0, link)} __url__`.trim();
    })
    .join(' ');
  const legal = linked
    .replace(/\[([^\]]*)\] \( *__url__ *\)/g, '$1')
    .replaceAll('__url__', 'URL')
    .replace(/[^A-Za-z0-9():,.!?"']/gu, ' ')
    .replaceAll('URL', '__url__');
  let cleaned = ` ${tweetWords(legal).join(' ')} `
    .replaceAll(" won't ", " will n't ")
    .replaceAll(" can't ", " can n't ");
  for (const contraction of CONTRACTIONS) {
    cleaned = cleaned.replaceAll(`${contraction} `, ` ${contraction} `);
  }
  return splitWords(cleaned).join(' ');
}

const CONTRACTIONS = ["'s", "'m", "'re", "n't", "'ll", "'ve", "'d", "'em"];

/**
 * NLTK's TweetTokenizer (nltk/tokenize/casual.py), as far as it can be told apart on text of lower
 * case ASCII letters, digits, `( ) : , . ! ? " ' _` and spaces. What is tried comes in its order:
 * domains, phone numbers (which may hold spaces), emoticons, words.
 */
const TWEET_WORD = new RegExp(
  [
    /[a-z0-9]+(?:\.[a-z0-9]+){0,126}\.[a-z]{2,13}\b/,
    /(?:[01][ .)]*)?(?:\(?\d{3}[ .)]*)?\d{3}[ .)]*\d{4}/,
    /[:8][o']?[)(dp:]/,
    /[)(dp:][o']?[:8]/,
    /[a-z][a-z'_]+[a-z]/,
    /\d+[,.:]\d+/,
    /[a-z0-9_]+/,
    /\.(?: *\.)+/,
    /\S/,
  ]
    .map((part) => part.source)
    .join('|'),
  'g',
);

function tweetWords(text: string): string[] {
  // Anything but letters and digits is repeated three times at most.
  return text.replace(/([^a-zA-Z0-9])\1{3,}/g, '$1$1$1').match(TWEET_WORD) ?? [];
}
