import { z } from 'zod';
import { chatSchema } from './chat-completions.js';
import { completionSchema } from './completions.js';
import { rerankSchema } from './rerank.js';

const error = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

/** What a path answers, in a few words. */
interface Operation {
  readonly summary: string;
  readonly request?: z.ZodType;
  /** What it answers besides JSON. */
  readonly media?: string;
  readonly parameters?: readonly object[];
  /** Whether anybody may ask. */
  readonly open?: boolean;
}

const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } };

const paths: Readonly<Record<string, Readonly<Partial<Record<'get' | 'post', Operation>>>>> = {
  '/v1/chat/completions': {
    post: {
      summary: 'Reply to a conversation',
      request: chatSchema,
      media: 'text/event-stream',
    },
  },
  '/v1/completions': {
    post: { summary: 'Continue a text', request: completionSchema, media: 'text/event-stream' },
  },
  '/v1/rerank': { post: { summary: 'Rank replies', request: rerankSchema } },
  '/v1/models': { get: { summary: 'List the models' } },
  '/v1/models/{id}': { get: { summary: 'Describe a model', parameters: [id] } },
  '/health': { get: { summary: 'Whether the server lives, and what it does', open: true } },
  '/ready': { get: { summary: 'Whether the server takes requests', open: true } },
  '/metrics': { get: { summary: 'Figures for Prometheus', media: 'text/plain' } },
};

/** The API's description, for programs that make clients of it (OpenAPI 3.1). */
export function openApiDocument(): Readonly<Record<string, unknown>> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'dialogpt serve',
      version: '1',
      description: "OpenAI's API over a dialogue model.",
    },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    paths: Object.fromEntries(
      Object.entries(paths).map(([path, operations]) => [
        path,
        Object.fromEntries(
          Object.entries(operations).map(([method, operation]) => [method, described(operation)]),
        ),
      ]),
    ),
  };
}

function described({ summary, request, media, parameters, open }: Operation): object {
  const json = { 'application/json': {} };
  return {
    summary,
    security: open === true ? [] : [{ key: [] }],
    ...(parameters === undefined ? {} : { parameters }),
    ...(request === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': schemaOf(request) } } }),
    responses: {
      200: {
        description: 'The answer.',
        content: { ...json, ...(media === undefined ? {} : { [media]: {} }) },
      },
      default: { description: 'An error.', content: { 'application/json': schemaOf(error) } },
    },
  };
}

function schemaOf(schema: z.ZodType): object {
  const described = z.toJSONSchema(schema, { io: 'input' });
  delete described.$schema;
  return { schema: described };
}
