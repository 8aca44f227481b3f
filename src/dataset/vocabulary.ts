import { readConversations } from '../corpus/conversation.js';
import { Tokenizer, trainVocabulary } from '../tokenizer/index.js';

/**
 * A tokenizer learnt from the conversations of a corpus, for small models of their own: GPT-2's
 * vocabulary is mostly words that a small corpus never uses.
 *
 * @param size the number of tokens, `<|endoftext|>` included; fewer if the corpus yields fewer
 */
export async function trainTokenizer(corpus: string, size: number): Promise<Tokenizer> {
  const texts: string[] = [];
  for await (const { turns } of readConversations(corpus)) {
    for (const { text } of turns) texts.push(text);
  }
  return new Tokenizer(trainVocabulary(texts, size));
}
