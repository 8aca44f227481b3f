import type { Context } from 'hono';
import { z } from 'zod';
import {
  DEFAULT_NEW_TOKENS,
  type GenerationOptions,
  generationOptions,
  type ModelTask,
  withDefaults,
} from '../../decoding/index.js';
import type { Extension } from '../app.js';
import { readBody } from '../body.js';
import { addPath, type App, type Env } from '../context.js';
import { ApiError, badField } from '../errors.js';
import { eventStream } from '../event-stream.js';
import { requestOptions, type Services } from '../services.js';
import { exported, EXPORT_FORMATS } from './export.js';
import { branchTo, type ConversationStore } from './store.js';
import type { Conversation, Message } from './types.js';

/** What of a conversation can be changed. */
const changeSchema = z.strictObject({
  title: z.string().trim().min(1).max(200).exactOptional(),
  persona: z.array(z.string().trim().min(1).max(500)).max(20).exactOptional(),
  head: z.string().exactOptional(),
});

const sayingSchema = z.strictObject({
  /** None at the beginning. */
  parent: z.string().exactOptional(),
  content: z.string().trim().min(1).max(20_000),
});

const replySchema = z.strictObject({
  parent: z.string(),
  candidates: z.boolean().default(false),
  /** Checked where they are used. */
  options: z
    .custom<GenerationOptions>((value) => typeof value === 'object' && value !== null)
    .default({}),
});

/**
 * The paths by which the page keeps conversations: under `/api/conversations`, and
 * `/api/capabilities`, which says what can be asked for and what is done unasked.
 */
export function conversations(store: ConversationStore): Extension {
  return (app, services) => {
    addConversationPaths(app, services, store);
  };
}

function addConversationPaths(app: App, services: Services, store: ConversationStore): void {
  addPath(app, '/api/capabilities', {
    GET: (context) =>
      context.json({
        model: services.modelNames[0],
        rerankers: services.rerankers,
        defaults: replyDefaults(services),
      }),
  });
  addPath(app, '/api/conversations', {
    GET: (context) => context.json({ conversations: store.list(context.req.query('query') ?? '') }),
    POST: async (context) => context.json(store.create(await readBody(context, changeSchema)), 201),
  });
  addPath(app, '/api/conversations/:id', {
    GET: (context) => {
      const conversation = known(store, context);
      return context.json({ conversation, messages: store.messages(conversation.id) });
    },
    PATCH: async (context) => {
      const { id } = known(store, context);
      const change = await readBody(context, changeSchema);
      if (change.head !== undefined) turnOf(store, id, change.head, 'head');
      return context.json(store.change(id, change));
    },
    DELETE: (context) => {
      store.remove(known(store, context).id);
      return context.body(null, 204);
    },
  });
  addPath(app, '/api/conversations/:id/messages', {
    POST: async (context) => {
      const { id } = known(store, context);
      const { parent, content } = await readBody(context, sayingSchema);
      if (parent !== undefined) turnOf(store, id, parent, 'parent');
      return context.json(store.add(id, { parent: parent ?? null, role: 'user', content }), 201);
    },
  });
  addPath(app, '/api/conversations/:id/replies', {
    POST: async (context) => streamReply(context, services, store),
  });
  addPath(app, '/api/conversations/:id/export', {
    GET: (context) => {
      const conversation = known(store, context);
      const format = EXPORT_FORMATS.find((name) => name === context.req.query('format'));
      if (format === undefined) {
        throw badField('format', `format: must be one of ${EXPORT_FORMATS.join(', ')}.`);
      }
      const { type, text } = exported(conversation, store.messages(conversation.id), format);
      return context.text(text, 200, { 'content-type': type });
    },
  });
}

/** How replies of conversations are generated where a request says nothing. */
function replyDefaults({ ownDefaults, defaults }: Services) {
  const { maxNewTokens = DEFAULT_NEW_TOKENS, ...options } = generationOptions(
    withDefaults(ownDefaults, defaults),
  );
  const { temperature, topK, topP, repetitionPenalty, numBeams, numCandidates } = options;
  const drawing = { temperature, topK, topP, repetitionPenalty };
  return { ...drawing, maxNewTokens, numBeams, numCandidates };
}

function known(store: ConversationStore, context: Context<Env>): Conversation {
  const conversation = store.conversation(context.req.param('id') ?? '');
  if (conversation === undefined) {
    throw new ApiError(404, 'There is no such conversation; it may have been deleted.', {
      code: 'conversation_not_found',
    });
  }
  return conversation;
}

function turnOf(store: ConversationStore, id: string, turn: string, field: string): Message {
  const message = store.messages(id).find((each) => each.id === turn);
  if (message === undefined) throw badField(field, `${field}: there is no such turn.`);
  return message;
}

/**
 * Generates the reply to a turn, tells it as it comes, and keeps it; of one that is stopped or
 * whose reader goes away, it keeps what there is.
 */
async function streamReply(
  context: Context<Env>,
  services: Services,
  store: ConversationStore,
): Promise<Response> {
  const { id, persona } = known(store, context);
  const request = await readBody(context, replySchema);
  const turn = turnOf(store, id, request.parent, 'parent');
  if (turn.role !== 'user') throw badField('parent', 'parent: a reply needs a turn of the person.');
  const { safety, ...options } = request.options;
  const task: ModelTask = {
    type: 'reply',
    history: branchTo(store.messages(id), turn.id).map(({ content }) => content),
    options: requestOptions(services, {
      ...options,
      ...(persona.length === 0 ? {} : { persona }),
      // A server that withholds words does so whatever is asked for.
      ...(services.defaults.safety === true || safety === undefined ? {} : { safety }),
    }),
    candidates: request.candidates,
  };
  const scope = context.get('scope');
  return eventStream(context, services.log, async (send) => {
    let text = '';
    let candidates: Message['candidates'] = [];
    const interventions: Message['interventions'] = [];
    const keep = (): Message =>
      store.add(id, {
        parent: turn.id,
        role: 'assistant',
        content: text,
        candidates,
        interventions,
      });
    try {
      await services.pool.run(task, {
        signal: scope.signal,
        onEvent: (event) => {
          if (event.type === 'prompt') {
            scope.notes.promptTokens = event.tokens;
            scope.notes.cachedTokens = event.known;
          } else if (event.type === 'piece') {
            text += event.text;
            scope.noteText();
            send({ type: 'piece', text: event.text });
          } else if (event.type === 'candidates') candidates = [...event.candidates];
          else if (event.type === 'intervention') {
            interventions.push({ action: event.action, message: event.message });
            scope.notes.interventions = interventions.map(({ action }) => action);
          } else if (event.type === 'end') scope.notes.completionTokens = event.generatedTokens;
        },
      });
    } catch (error) {
      if (text.trim() !== '' && store.conversation(id) !== undefined) keep();
      throw error;
    }
    send({ type: 'message', message: keep() });
  });
}
