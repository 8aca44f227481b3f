export { gpt2Tokenizer, loadTokenizer, type TokenDecoder, Tokenizer } from './tokenizer.js';
export { trainVocabulary } from './training.js';
export { END_OF_TEXT, loadVocabulary, saveVocabulary, type Vocabulary } from './vocabulary.js';
