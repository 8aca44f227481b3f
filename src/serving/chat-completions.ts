import type { Handler } from 'hono';
import { z } from 'zod';
import { range } from '../base/arrays.js';
import { defined } from '../base/objects.js';
import type { GenerationOptions, ModelTask } from '../decoding/index.js';
import { readBody } from './body.js';
import { type ChoicesWanted, type LoggedToken, makeChoices, runChoices } from './choices.js';
import type { Env } from './context.js';
import { unsupportedField } from './errors.js';
import { eventStream } from './event-stream.js';
import { dialogueOf, messageSchema } from './messages.js';
import {
  checkSingleSequence,
  choiceSeed,
  extraFields,
  samplingFields,
  samplingOptions,
  stopStrings,
} from './sampling-fields.js';
import { answerId, checkModel, now, requestOptions, type Services } from './services.js';

const unknownArray = z.array(z.unknown()).optional();

/** The body of `POST /v1/chat/completions`. */
export const chatSchema = z.strictObject({
  messages: z.array(messageSchema).min(1),
  ...samplingFields,
  ...extraFields,
  max_tokens: z.int().min(1).optional(),
  max_completion_tokens: z.int().min(1).optional(),
  logprobs: z.boolean().default(false),
  top_logprobs: z.int().min(0).max(20).optional(),
  no_repeat_reply_ngram_size: z.int().min(0).optional(),
  no_repeat_history_ngram_size: z.int().min(0).optional(),
  bad_words: z.array(z.string()).optional(),
  max_history_turns: z.int().min(0).optional(),
  safety: z.boolean().optional(),
  num_candidates: z.int().min(1).max(64).optional(),
  rerank: z.enum(['none', 'mmi', 'ranker', 'value']).optional(),
  candidates: z.boolean().default(false).describe('Whether to tell all candidates with scores.'),
  // What OpenAI's API has and this model cannot: see refuseUnsupported.
  tools: unknownArray,
  functions: unknownArray,
  tool_choice: z.unknown().optional(),
  function_call: z.unknown().optional(),
  parallel_tool_calls: z.boolean().optional(),
  response_format: z.object({ type: z.string() }).loose().optional(),
  modalities: z.array(z.string()).optional(),
  audio: z.unknown().optional(),
  prediction: z.unknown().optional(),
  web_search_options: z.unknown().optional(),
  reasoning_effort: z.string().optional(),
  verbosity: z.string().optional(),
});

type ChatRequest = z.infer<typeof chatSchema>;

function refuseUnsupported(request: ChatRequest): void {
  const { response_format: format, modalities, tool_choice: choice } = request;
  for (const field of ['tools', 'functions'] as const) {
    if ((request[field]?.length ?? 0) > 0) {
      throw unsupportedField(field, 'This model uses no tools.');
    }
  }
  if (choice !== undefined && choice !== 'none' && choice !== 'auto') {
    throw unsupportedField('tool_choice', 'This model uses no tools.');
  }
  if (format !== undefined && format.type !== 'text') {
    throw unsupportedField('response_format', 'This model answers in plain text only.');
  }
  if (modalities?.some((modality) => modality !== 'text') === true) {
    throw unsupportedField('modalities', 'This model answers in plain text only.');
  }
  for (const field of ['audio', 'prediction', 'web_search_options', 'function_call'] as const) {
    if (request[field] !== undefined && request[field] !== 'none') {
      throw unsupportedField(field, 'This model reads and writes text only.');
    }
  }
}

/** Only what is drawn token by token has probabilities to tell, and several different choices. */
const TOKEN_BY_TOKEN: GenerationOptions = { numBeams: 1, numCandidates: 1, rerank: 'none' };

/** What is to be generated for a request. */
function choicesWanted(services: Services, request: ChatRequest): ChoicesWanted {
  refuseUnsupported(request);
  const { n, top_logprobs: top, candidates } = request;
  if (top !== undefined && !request.logprobs) {
    throw unsupportedField('top_logprobs', 'It needs logprobs: true.');
  }
  const { persona, history } = dialogueOf(request.messages);
  const own: GenerationOptions = {
    ...samplingOptions(request),
    ...defined({
      maxNewTokens: request.max_completion_tokens ?? request.max_tokens,
      noRepeatReplyNgramSize: request.no_repeat_reply_ngram_size,
      noRepeatHistoryNgramSize: request.no_repeat_history_ngram_size,
      badWords: request.bad_words,
      maxHistoryTurns: request.max_history_turns,
      numCandidates: request.num_candidates,
      rerank: request.rerank,
      // A server that withholds words does so whatever is asked for.
      safety: services.defaults.safety === true ? undefined : request.safety,
    }),
    ...(persona.length === 0 ? {} : { persona: [...persona] }),
  };
  const single = n > 1 || request.logprobs ? TOKEN_BY_TOKEN : {};
  const options = requestOptions(services, { ...single, ...own });
  if (n > 1) checkSingleSequence(request, 'n');
  if (request.logprobs) {
    checkSingleSequence(request, 'logprobs');
    if (candidates || (options.numCandidates ?? 1) > 1 || options.safety === true) {
      throw unsupportedField('logprobs', 'It does not go together with candidates or safety.');
    }
  }
  const tasks = range(0, n).map((choice): ModelTask => ({
    type: 'reply',
    history,
    options: { ...options, ...choiceSeed(request.seed, choice) },
    candidates,
    ...(request.logprobs ? { logprobs: top ?? 0 } : {}),
  }));
  return { tasks, perPrompt: n, stops: stopStrings(request) };
}

/** `POST /v1/chat/completions`. */
export function chatCompletions(services: Services): Handler<Env> {
  return async (context) => {
    const request = await readBody(context, chatSchema);
    checkModel(services, request.model);
    const scope = context.get('scope');
    if (services.logMessages) scope.notes.messages = request.messages;
    const wanted = choicesWanted(services, request);
    const common = { id: answerId('chatcmpl'), created: now(), model: services.modelNames[0] };
    if (!request.stream) {
      return context.json({ ...common, ...(await wholeAnswer(services, request, wanted, scope)) });
    }
    const includeUsage = request.stream_options?.include_usage === true;
    const object = 'chat.completion.chunk';
    return eventStream(context, services.log, async (send) => {
      const opened = new Set<number>();
      const chunk = (index: number, delta: object, rest: object = {}) => {
        if (!opened.has(index)) {
          opened.add(index);
          chunk(index, { role: 'assistant', content: '' });
        }
        const choice = { index, delta, logprobs: null, finish_reason: null, ...rest };
        send({ ...common, object, choices: [choice], ...(includeUsage ? { usage: null } : {}) });
      };
      const usage = await runChoices(services.pool, scope, wanted, {
        onDelta: (index, { text, logprobs }) => {
          chunk(index, { content: text }, request.logprobs ? told(logprobs) : {});
        },
        onEnd: (index, { finish, ...told }) => {
          chunk(index, {}, { finish_reason: finish, ...told });
        },
      });
      if (includeUsage) send({ ...common, object, choices: [], usage });
    });
  };
}

async function wholeAnswer(
  services: Services,
  request: ChatRequest,
  wanted: ChoicesWanted,
  scope: Env['Variables']['scope'],
): Promise<object> {
  const { made, usage } = await makeChoices(services.pool, scope, wanted);
  const choices = made.map(({ text, tokens, end }, index) => ({
    index,
    message: { role: 'assistant', content: text, refusal: null },
    ...(request.logprobs ? told(tokens) : { logprobs: null }),
    finish_reason: end.finish,
    ...defined({ candidates: end.candidates, interventions: end.interventions }),
  }));
  if (services.logMessages) scope.notes.answers = made.map(({ text }) => text);
  return { object: 'chat.completion', choices, usage };
}

/** Tokens with their probabilities as a choice's `logprobs`. */
function told(tokens: readonly LoggedToken[]): object {
  const one = ({ text: token, logprob, bytes }: Omit<LoggedToken, 'likeliest'>) => ({
    token,
    // OpenAI's API writes a number for what is as good as impossible.
    logprob: Math.max(logprob ?? 0, -9999),
    bytes,
  });
  const content = tokens.map(({ likeliest, ...token }) => ({
    ...one(token),
    top_logprobs: likeliest.map(one),
  }));
  return { logprobs: { content, refusal: null } };
}
