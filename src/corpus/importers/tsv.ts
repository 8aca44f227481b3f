import { readConversations } from '../conversation.js';
import type { Importer } from './importer.js';

/**
 * Conversations in the original's format, `turn EOS turn <tab> response` one a line, to learn one
 * side of them: weights before turns are left out, as the speaker that is chosen decides.
 */
export const tsv: Importer = {
  description:
    "conversations in the original's format (turn EOS turn <tab> response), for --speaker assistant or user",
  async *read(path) {
    for await (const { turns } of readConversations(path))
      yield turns.map(({ text }) => ({ text }));
  },
};
