import type { Handler } from 'hono';
import { z } from 'zod';
import { at, range } from '../base/arrays.js';
import { defined } from '../base/objects.js';
import { decodingOptions, type DecodingOptions, type ModelTask } from '../decoding/index.js';
import { readBody } from './body.js';
import {
  type ChoicesWanted,
  type LoggedToken,
  type Made,
  makeChoices,
  runChoices,
} from './choices.js';
import type { Env } from './context.js';
import { badField, unsupportedField } from './errors.js';
import { eventStream } from './event-stream.js';
import {
  checkSingleSequence,
  choiceSeed,
  extraFields,
  MOST_CHOICES,
  samplingFields,
  samplingOptions,
  stopStrings,
} from './sampling-fields.js';
import { answerId, checkModel, now, type Services } from './services.js';

/** The longest answer where a request says nothing of lengths, as in OpenAI's API. */
const DEFAULT_TOKENS = 16;

const tokens = z.array(z.int().min(0));

/** The body of `POST /v1/completions`. */
export const completionSchema = z.strictObject({
  prompt: z
    .union([z.string(), tokens, z.array(z.string()).min(1), z.array(tokens).min(1)])
    .default('')
    .describe('Text in which <|endoftext|> ends a turn, or tokens; or an array of either.'),
  ...samplingFields,
  ...extraFields,
  max_tokens: z
    .int()
    .min(0)
    .optional()
    .describe(`At most so many new tokens; ${DEFAULT_TOKENS} without it and max_length.`),
  echo: z.boolean().default(false),
  best_of: z.int().min(1).max(MOST_CHOICES).optional(),
  logprobs: z.int().min(0).max(20).optional(),
  suffix: z.unknown().optional(),
});

type CompletionRequest = z.infer<typeof completionSchema>;

type Prompt = string | readonly number[];

function promptsOf(prompt: CompletionRequest['prompt']): readonly Prompt[] {
  if (typeof prompt === 'string') return [prompt];
  const texts: Prompt[] = [];
  const ids: number[] = [];
  for (const part of prompt) {
    if (typeof part === 'number') ids.push(part);
    else texts.push(part);
  }
  return texts.length > 0 ? texts : [ids];
}

/** What is to be generated for a request: `best_of` choices of each prompt. */
function choicesWanted(request: CompletionRequest): ChoicesWanted {
  const { n, best_of: best = n, echo, logprobs } = request;
  if (request.suffix !== undefined) {
    throw unsupportedField('suffix', 'This model writes from the start to the end only.');
  }
  if (best < n) throw badField('best_of', "Invalid value for 'best_of': it is less than n.");
  if (best > n && request.stream) {
    throw unsupportedField('best_of', 'An answer that is chosen at its end cannot be streamed.');
  }
  const prompts = promptsOf(request.prompt);
  if (prompts.length * best > MOST_CHOICES) {
    throw badField('prompt', `Prompts times choices are more than ${MOST_CHOICES}.`);
  }
  if (best > 1) checkSingleSequence(request, 'n');
  if (logprobs !== undefined) checkSingleSequence(request, 'logprobs');
  const wanted =
    request.max_tokens ?? (request.max_length === undefined ? DEFAULT_TOKENS : undefined);
  const options: DecodingOptions = {
    ...samplingOptions(request),
    ...defined({ maxNewTokens: wanted }),
  };
  // No tokens at all are wanted to score a prompt, which the library does not know as a length.
  decodingOptions({ ...options, ...(wanted === 0 ? { maxNewTokens: 1 } : {}) });
  const tasks = prompts.flatMap((prompt) =>
    range(0, best).map((choice): ModelTask => ({
      type: 'continuation',
      prompt,
      options: { ...options, ...choiceSeed(request.seed, choice) },
      echo,
      // The best of several is the one with the likeliest tokens.
      ...(logprobs === undefined && best === n ? {} : { logprobs: logprobs ?? 0 }),
    })),
  );
  return { tasks, perPrompt: best, stops: stopStrings(request) };
}

/** `POST /v1/completions`. */
export function completions(services: Services): Handler<Env> {
  return async (context) => {
    const request = await readBody(context, completionSchema);
    checkModel(services, request.model);
    const scope = context.get('scope');
    if (services.logMessages) scope.notes.messages = request.prompt;
    const wanted = choicesWanted(request);
    const common = {
      id: answerId('cmpl'),
      object: 'text_completion',
      created: now(),
      model: services.modelNames[0],
    };
    if (request.stream) {
      const includeUsage = request.stream_options?.include_usage === true;
      return eventStream(context, services.log, async (send) => {
        const offsets = wanted.tasks.map(() => 0);
        const chunk = (index: number, text: string, rest: object = {}) => {
          const choice = { index, text, logprobs: null, finish_reason: null, ...rest };
          send({ ...common, choices: [choice], ...(includeUsage ? { usage: null } : {}) });
        };
        const usage = await runChoices(services.pool, scope, wanted, {
          onDelta: (index, { text, logprobs }) => {
            const offset = at(offsets, index);
            offsets[index] = offset + text.length;
            chunk(index, text, logprobsOf(request, logprobs, offset));
          },
          onEnd: (index, { finish }) => {
            chunk(index, '', { finish_reason: finish });
          },
        });
        if (includeUsage) send({ ...common, choices: [], usage });
      });
    }
    const { made, usage } = await makeChoices(services.pool, scope, wanted);
    const choices = chosen(made, wanted.perPrompt, request.n).map((choice, index) => ({
      index,
      text: choice.text,
      ...logprobsOf(request, choice.tokens, 0),
      finish_reason: choice.end.finish,
    }));
    if (services.logMessages) scope.notes.answers = choices.map(({ text }) => text);
    return context.json({ ...common, choices, usage });
  };
}

/** The `n` likeliest choices of each prompt, by the mean of their tokens. */
function chosen(made: readonly Made[], perPrompt: number, n: number): readonly Made[] {
  if (perPrompt === n) return made;
  const mean = ({ tokens: own }: Made) =>
    own.reduce((sum, { logprob = 0 }) => sum + logprob, 0) / Math.max(1, own.length);
  return range(0, made.length / perPrompt).flatMap((prompt) =>
    made
      .slice(prompt * perPrompt, (prompt + 1) * perPrompt)
      .sort((a, b) => mean(b) - mean(a))
      .slice(0, n),
  );
}

/** Tokens with their probabilities as a choice's `logprobs`. */
function logprobsOf(
  { logprobs }: CompletionRequest,
  told: readonly LoggedToken[],
  offset: number,
): { readonly logprobs: object | null } {
  if (logprobs === undefined) return { logprobs: null };
  let end = offset;
  const places = told.map(({ text }) => {
    const start = end;
    end += text.length;
    return start;
  });
  return {
    logprobs: {
      tokens: told.map(({ text }) => text),
      token_logprobs: told.map(({ logprob }) => logprob ?? null),
      top_logprobs: told.map(({ logprob, likeliest }) =>
        logprob === undefined
          ? null
          : Object.fromEntries(likeliest.map((other) => [other.text, other.logprob])),
      ),
      text_offset: places,
    },
  };
}
