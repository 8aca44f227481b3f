/** What of this room runs in a browser too. */
export { type TokenDecoder, Tokenizer } from './tokenizer.js';
export {
  END_OF_TEXT,
  mergesText,
  parseVocabulary,
  type Vocabulary,
  vocabularyJson,
} from './vocabulary.js';
