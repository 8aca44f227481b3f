// The page checks with these too: the small build of zod keeps it small.
import * as z from 'zod/mini';

/** A reply that was considered, with what the rerankers say of it. */
const candidateSchema = z.object({ text: z.string(), scores: z.record(z.string(), z.number()) });

/** Something that the safety layer did to a reply. */
const interventionSchema = z.object({
  action: z.enum(['withheld', 'cut', 'refused']),
  message: z.string(),
});

/** A turn of a conversation. Turns form a tree: each but the first comes after another. */
export const messageSchema = z.object({
  id: z.string(),
  /** The turn before; none for a first turn. Turns after the same one are branches. */
  parent: z.nullable(z.string()),
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  /** What else might have been said, the best first; only of replies. */
  candidates: z._default(z.array(candidateSchema), []),
  interventions: z._default(z.array(interventionSchema), []),
  /** An ISO 8601 date. */
  createdAt: z.string(),
});

/** A turn of a conversation. */
export type Message = z.infer<typeof messageSchema>;

export const conversationSchema = z.object({
  id: z.string(),
  title: z.string(),
  /** What the speaker is like, one sentence each. */
  persona: z.array(z.string()),
  /** The last turn of the branch that is shown; none if nothing has been said. */
  head: z.nullable(z.string()),
  createdAt: z.string(),
  updatedAt: z.string(),
});

/** What is known of a conversation besides its turns. */
export type Conversation = z.infer<typeof conversationSchema>;

/** What of a conversation can be changed. */
export type ConversationChange = Partial<Pick<Conversation, 'title' | 'persona' | 'head'>>;

/** A turn to be kept; its number and date are given to it. */
export type NewMessage = Pick<Message, 'parent' | 'role' | 'content'> &
  Partial<Pick<Message, 'candidates' | 'interventions'>>;
