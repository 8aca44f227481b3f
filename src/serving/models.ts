import type { Handler } from 'hono';
import type { Env } from './context.js';
import { ApiError } from './errors.js';
import type { Services } from './services.js';

/** A model as OpenAI's API lists it; `max_model_len` is what other servers add. */
interface ListedModel {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: 'dialogpt';
  readonly max_model_len?: number;
}

function listed({ modelNames, rankerNames, pool, created }: Services): readonly ListedModel[] {
  const model = { object: 'model', created, owned_by: 'dialogpt' } as const;
  return [
    ...modelNames.map((id) => ({ id, ...model, max_model_len: pool.model.positions })),
    ...rankerNames.map((id) => ({ id, ...model })),
  ];
}

/** `GET /v1/models`. */
export function listModels(services: Services): Handler<Env> {
  return (context) => context.json({ object: 'list', data: listed(services) });
}

/** `GET /v1/models/{id}`; the id may have slashes. */
export function showModel(services: Services): Handler<Env> {
  return (context) => {
    const id = context.req.param('id') ?? '';
    const model = listed(services).find((each) => each.id === id);
    if (model !== undefined) return context.json(model);
    throw new ApiError(404, `The model '${id}' does not exist.`, {
      code: 'model_not_found',
      param: 'model',
    });
  };
}
