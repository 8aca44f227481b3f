export { gpt2Tokenizer } from './gpt2.js';
export * from './portable.js';
export { trainVocabulary } from './training.js';
export {
  hasTokenizer,
  loadTokenizer,
  loadVocabulary,
  saveVocabulary,
  TOKENIZER_FILES,
} from './vocabulary-files.js';
