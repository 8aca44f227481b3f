import { branchTo } from './store.js';
import type { Conversation, Message } from './types.js';

/** As text to read, as chat JSONL to train on, or with every branch and score. */
export const EXPORT_FORMATS = ['text', 'jsonl', 'json'] as const;

/** One of {@link EXPORT_FORMATS}. */
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** A conversation as a file; the branch that is shown, or with `json` everything. */
export function exported(
  conversation: Conversation,
  messages: readonly Message[],
  format: ExportFormat,
): { readonly type: string; readonly text: string } {
  const branch = branchTo(messages, conversation.head);
  switch (format) {
    case 'text': {
      const name = { user: 'You', assistant: 'dialogpt' } as const;
      const turns = branch.map(({ role, content }) => `${name[role]}: ${content}\n`);
      return {
        type: 'text/plain; charset=utf-8',
        text: [`${conversation.title}\n`, ...turns].join('\n'),
      };
    }
    case 'jsonl': {
      const persona = conversation.persona.map((content) => ({ role: 'system', content }));
      const turns = branch.map(({ role, content }) => ({ role, content }));
      return {
        type: 'application/jsonl; charset=utf-8',
        text: `${JSON.stringify({ messages: [...persona, ...turns] })}\n`,
      };
    }
    case 'json':
      return {
        type: 'application/json; charset=utf-8',
        text: `${JSON.stringify({ conversation, messages }, null, 2)}\n`,
      };
  }
}
