import type { Handler } from 'hono';
import { z } from 'zod';
import { at } from '../base/arrays.js';
import { readBody } from './body.js';
import type { Env } from './context.js';
import { ApiError } from './errors.js';
import { answerId, type Services } from './services.js';

const MOST_DOCUMENTS = 1000;

/** The body of `POST /v1/rerank`, as Cohere and Jina have it. */
export const rerankSchema = z.strictObject({
  model: z.string().optional(),
  query: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .describe('What is replied to: a turn, or all turns of a conversation, oldest first.'),
  documents: z
    .array(z.union([z.string(), z.object({ text: z.string() })]))
    .min(1)
    .max(MOST_DOCUMENTS)
    .describe('The replies to rank.'),
  top_n: z.int().min(1).optional(),
  return_documents: z.boolean().default(false),
});

/** `POST /v1/rerank`: how well replies are liked, by DialogRPT's models. */
export function rerank(services: Services): Handler<Env> {
  return async (context) => {
    const request = await readBody(context, rerankSchema);
    const { modelNames, rankerNames, pool } = services;
    if (rankerNames.length === 0) {
      throw new ApiError(404, 'This server has no ranking model; start it with --ranker.', {
        code: 'model_not_found',
      });
    }
    const { model = modelNames[0], query, top_n: most, return_documents: repeat } = request;
    if (!rankerNames.includes(model) && !modelNames.includes(model)) {
      throw new ApiError(
        404,
        `The model '${model}' does not exist; this server ranks with ${rankerNames.join(', ')}.`,
        { code: 'model_not_found', param: 'model' },
      );
    }
    const history = typeof query === 'string' ? [query] : query;
    const responses = request.documents.map((document) =>
      typeof document === 'string' ? document : document.text,
    );
    const scope = context.get('scope');
    if (services.logMessages) scope.notes.messages = { query, documents: responses };
    let scores: readonly Readonly<Record<string, number>>[] = [];
    await pool.run(
      { type: 'ranking', history, responses },
      {
        signal: scope.signal,
        onEvent: (event) => {
          if (event.type === 'ranks') ({ scores } = event);
        },
      },
    );
    const results = scores
      .map(({ final = 0, ...each }, index) => ({
        index,
        // One ranker of several may be asked for by name.
        relevance_score: each[model] ?? final,
        scores: each,
        ...(repeat ? { document: { text: at(responses, index) } } : {}),
      }))
      .sort((a, b) => b.relevance_score - a.relevance_score || a.index - b.index)
      .slice(0, most);
    return context.json({ id: answerId('rerank'), object: 'list', model, results });
  };
}
