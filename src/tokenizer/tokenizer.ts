import { BytePairEncodingCore } from 'gpt-tokenizer/BytePairEncodingCore';
import { endOfWord, isAscii, WordTokens } from './ascii-words.js';
import { PairMerges } from './pair-merges.js';
import type { Vocabulary } from './vocabulary.js';

/**
 * Where GPT-2 cuts a text before it merges bytes (openai/gpt-2, `encoder.py`). White space is
 * Unicode's there, with U+0085 and without U+FEFF; JavaScript's `\s` is not.
 */
export const WORD_PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

const utf8 = new TextEncoder();

/** Words of more UTF-16 units are left to a way of encoding that takes less time for those. */
const LONGEST_MERGED = 40;

/** How many words that are not ASCII are remembered. */
const MOST_OTHER_WORDS = 1 << 15;

/** GPT-2's byte-level byte-pair encoding with some vocabulary. */
export class Tokenizer {
  readonly vocabulary: Vocabulary;
  /** The id of `<|endoftext|>`. */
  readonly endOfText: number;
  readonly #encoding: BytePairEncodingCore;
  readonly #bytes: readonly Uint8Array[];
  /** Most words of a text have been met before. */
  readonly #asciiWords = new WordTokens((word) => this.#encodeWord(word));
  #merges: PairMerges | 'none' | undefined;
  readonly #otherWords = new Map<string, readonly number[]>();

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    this.endOfText = vocabulary.tokens.length;
    this.#bytes = vocabulary.tokens.map((bytes) => Uint8Array.from(bytes));
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    this.#encoding = new BytePairEncodingCore({
      bytePairRankDecoder: this.#bytes.map((bytes) => {
        try {
          return decoder.decode(bytes);
        } catch {
          return [...bytes];
        }
      }),
      tokenSplitRegex: WORD_PATTERN,
      // What has been met is remembered here, where looking it up is cheaper.
      mergeCacheSize: 0,
    });
  }

  /** The number of tokens, `<|endoftext|>` included. */
  get size(): number {
    return this.#bytes.length + 1;
  }

  /**
   * The token ids of a text. The text is only text: `<|endoftext|>` in it is spelled out, not
   * taken for the token. Half of a surrogate pair is encoded as U+FFFD.
   */
  encode(text: string): number[] {
    const ids: number[] = [];
    if (isAscii(text)) {
      for (let start = 0; start < text.length;) {
        const end = endOfWord(text, start);
        this.#asciiWords.append(ids, text, start, end);
        start = end;
      }
      return ids;
    }
    for (const word of text.toWellFormed().match(WORD_PATTERN) ?? []) {
      if (isAscii(word)) this.#asciiWords.append(ids, word, 0, word.length);
      else for (const id of this.#otherWord(word)) ids.push(id);
    }
    return ids;
  }

  #encodeWord(word: string): readonly number[] {
    if (word.length > LONGEST_MERGED) return this.#encoding.encodeNative(word);
    this.#merges ??= PairMerges.of(this.vocabulary) ?? 'none';
    return this.#merges === 'none'
      ? this.#encoding.encodeNative(word)
      : this.#merges.encode(utf8.encode(word));
  }

  #otherWord(word: string): readonly number[] {
    const known = this.#otherWords.get(word);
    if (known !== undefined) return known;
    const tokens = this.#encodeWord(word);
    if (this.#otherWords.size >= MOST_OTHER_WORDS) this.#otherWords.clear();
    this.#otherWords.set(word, tokens);
    return tokens;
  }

  /** The bytes of a token; none for `<|endoftext|>`. */
  bytesOf(id: number): Uint8Array {
    return this.#bytes[id] ?? new Uint8Array();
  }

  /** The text of token ids. Bytes that are not UTF-8 become U+FFFD; `<|endoftext|>` is left out. */
  decode(ids: Iterable<number>): string {
    const decoder = this.decoder();
    let text = '';
    for (const id of ids) text += decoder.push(id);
    return text + decoder.end();
  }

  /** Decodes token by token; a character whose bytes are spread over tokens comes when complete. */
  decoder(): TokenDecoder {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (id) => decoder.decode(this.bytesOf(id), { stream: true }),
      end: () => decoder.decode(),
    };
  }
}

/** Turns tokens into text one after the other. */
export interface TokenDecoder {
  /** The text that this token completes; may be empty. */
  push(id: number): string;
  /** What is left: U+FFFD for bytes that never became a character. */
  end(): string;
}
