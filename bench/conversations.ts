import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { at, range } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';
import { gpt2Tokenizer } from '../src/tokenizer/index.js';

/** How many different words the made-up conversations have. */
const VOCABULARY = 60_000;

const ENDS = ['.', '.', ' .', ' !', '?', ' ?', ' ...', ' 😂', ' lol', '', '', ''];

/**
 * Made-up conversations in the form that `data extract --clean --leaves-only 1 --merge` writes,
 * the same for the same seed: 2 to 5 turns, mostly 2, each with its weight; on average about 26
 * words of context and 15 of response, as the full Reddit corpus has, with word frequencies that
 * fall as one over the rank (Zipf's law); most words are one token, the rarest two or more.
 */
export async function writeConversations(path: string, count: number, seed: number): Promise<void> {
  const random = new Random(seed);
  const known = knownWords();
  const words = range(0, VOCABULARY).map((rank) => {
    if (rank < known.length) return at(known, rank);
    return at(known, random.below(known.length)) + at(known, random.below(known.length));
  });
  const word = () => at(words, Math.floor(VOCABULARY ** random.uniform()));
  const turn = (mean: number) => {
    const length = 1 + Math.min(30, Math.floor(-Math.log(1 - random.uniform()) * mean));
    const sentence = range(0, length).map(word).join(' ');
    return `${sentence}${at(ENDS, random.below(ENDS.length))}`;
  };
  const stream = createWriteStream(path);
  let text = '';
  for (let line = 0; line < count; line++) {
    const context = range(0, 1 + Math.floor(random.uniform() ** 3 * 4)).map(
      () => `${random.below(3) === 0 ? '0.0' : '1.0'} ${turn(15)}`,
    );
    text += `${context.join(' EOS ')}\t1.0 ${turn(14)}\n`;
    if (text.length < 1 << 20) continue;
    if (!stream.write(text)) await once(stream, 'drain');
    text = '';
  }
  stream.end(text);
  await finished(stream);
}

/** The words that are one token of GPT-2's, the frequent ones first. */
function knownWords(): string[] {
  const { vocabulary } = gpt2Tokenizer();
  const texts = vocabulary.tokens.map((bytes) => Buffer.from(bytes).toString('utf8'));
  return texts.filter((text) => /^ [a-z]+$/.test(text)).map((text) => text.slice(1));
}
